import os
import struct

import numpy as np
import pytest
from PIL import Image

from convoy.climate.events.data.io import SPLITS, TEST, TRAIN, VALIDATION, read, split_by_hash, write
from convoy.climate.events.sources import cifar_io, class_folders_io
from convoy.climate.events.sources.class_folders_io import decode, read_folders
from convoy.climate.events.sources.io import ImagesParams, SyntheticParams, drawn, images_of, summary
from convoy.core.errors import ConvoyError

RED, BLUE = (250, 10, 20), (10, 20, 250)


def picture(path, colour=RED, size=(40, 30), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, colour)
    image.putpixel((0, 0), (sum(path.name.encode()) % 200, 7, 9))  # so that no two files have equal pixels
    image.convert(mode).save(path, **options)
    return path


def album(folder, count=12, suffix=".png", parts=("",)):
    for part in parts:
        for name, colour in (("cat", RED), ("dog", BLUE)):
            for number in range(count):
                picture(
                    folder / part / name / f"{part}{number:02d}{suffix}", (*colour[:2], colour[2] - number)
                )
    return folder


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_class_folders_of_each_format(tmp_path, suffix):
    images = read_folders(album(tmp_path, suffix=suffix), 32, 1000)
    assert images.values.shape == (24, 3, 32, 32)
    assert images.facts.classes == ("cat", "dog")
    assert images.facts.repaired == {"resized": 24}
    means = images.values.mean((2, 3))
    assert (means[images.labels == 0][:, 0] > 200).all()
    assert (means[images.labels == 1][:, 2] > 200).all()
    assert images.ids[0].as_py() == f"cat/00{suffix}"


def test_the_layout_of_image_folder_gives_the_split(tmp_path):
    images = read_folders(album(tmp_path, parts=("train", "val", "test")), 32, 1000)
    part = [name.partition("/")[0] for name in images.ids.to_pylist()]
    named = {"train": TRAIN, "val": VALIDATION, "test": TEST}
    assert [named[one] for one in part] == images.split.tolist()


def test_a_hash_gives_the_same_split_whatever_the_names(tmp_path):
    album(tmp_path / "a", 60)
    first = read_folders(tmp_path / "a", 32, 1000)
    for file in sorted((tmp_path / "a" / "cat").iterdir()):
        file.rename(file.with_name(f"x{file.name}"))
    second = read_folders(tmp_path / "a", 32, 1000)
    assert first.split.tolist() == second.split.tolist()
    assert set(first.split.tolist()) == {TRAIN, VALIDATION, TEST}


def test_equal_pixels_go_to_one_split():
    digests = ["00" * 32, "ff" * 32, "80" * 32] * 2
    assert split_by_hash(digests, np.full(6, -1)).tolist() == [VALIDATION, TEST, TRAIN] * 2


def rotated(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (40, 20), RED)
    image.paste(BLUE, (0, 0, 20, 20))  # blue on the left; shown upright, it is on top
    image.save(path, exif=exif, quality=95)


def animated(path):
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, BLUE)]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)


def deep(path):
    Image.fromarray(np.full((32, 32), 257 * 100, np.uint16)).save(path)


REPAIRS = {
    "grey.png": (lambda p: Image.new("L", (32, 32), 90).save(p), ("grey",), (90, 90, 90)),
    "cmyk.jpg": (lambda p: Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(p), ("cmyk",), (255, 0, 0)),
    "alpha.png": (lambda p: Image.new("RGBA", (32, 32), (0, 0, 0, 0)).save(p), ("alpha",), (255, 255, 255)),
    "deep.png": (deep, ("16-bit", "grey"), (100, 100, 100)),
    "wide.png": (lambda p: Image.new("RGB", (90, 50), RED).save(p), ("resized",), RED),
    "animated.webp": (animated, ("animated",), RED),
    "plain.png": (lambda p: Image.new("RGB", (32, 32), BLUE).save(p), (), BLUE),
}


@pytest.mark.parametrize("name", REPAIRS)
def test_a_picture_is_repaired_and_counted(tmp_path, name):
    make, repaired, colour = REPAIRS[name]
    make(tmp_path / name)
    decoded = decode(tmp_path / name, 32)
    assert decoded.repaired == repaired
    assert decoded.pixels.mean((1, 2)) == pytest.approx(np.array(colour), abs=3)


def test_a_rotated_picture_is_turned_upright(tmp_path):
    rotated(tmp_path / "a.jpg")
    decoded = decode(tmp_path / "a.jpg", 20)
    assert decoded.repaired == ("rotated", "resized")
    top, bottom = decoded.pixels[:, :8].mean((1, 2)), decoded.pixels[:, -8:].mean((1, 2))
    assert top[2] > 200 > bottom[2]
    assert bottom[0] > 200 > top[0]


def unreadable(path):
    path.write_bytes(b"not a picture at all")


def empty(path):
    path.write_bytes(b"")


def truncated(path):
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)
    Image.fromarray(noise).save(path.with_suffix(".jpg"), quality=95)
    whole = path.with_suffix(".jpg").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def gif(path):
    Image.new("P", (20, 20)).save(path, format="GIF")


@pytest.mark.parametrize("spoil", [unreadable, empty, truncated, gif])
def test_a_picture_that_cannot_be_decoded_is_refused_in_one_line(tmp_path, spoil):
    album(tmp_path, 3)
    bad = tmp_path / "cat" / "zz.jpg"
    spoil(bad)
    with pytest.raises(ConvoyError) as caught:
        read_folders(tmp_path, 32, 100)
    assert str(caught.value).startswith(f"{bad}: unreadable")
    assert "\n" not in str(caught.value)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    Image.new("1", (9000, 9000)).save(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(ConvoyError, match="9000 x 9000 pixels; expected at most 64,000,000"):
        decode(path, 32)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ConvoyError, match="far too many pixels"):
        decode(path, 32)


def test_folders_that_are_no_class_folders_are_refused(tmp_path):
    with pytest.raises(ConvoyError, match="no pictures in class folders"):
        read_folders(tmp_path, 32, 100)
    picture(tmp_path / "cat" / "a.png")
    with pytest.raises(ConvoyError, match=r"one class only.*found cat"):
        read_folders(tmp_path, 32, 100)
    picture(tmp_path / "dog" / "a.png")
    with pytest.raises(ConvoyError, match="more than 1 pictures"):
        read_folders(tmp_path, 32, 1)
    (tmp_path / "dog" / "notes.txt").write_text("x")
    with pytest.raises(ConvoyError, match=r"notes.txt: not a picture"):
        read_folders(tmp_path, 32, 100)


def test_a_folder_next_to_train_that_is_no_part_is_refused(tmp_path):
    album(tmp_path, 3, parts=("train", "extra"))
    with pytest.raises(ConvoyError, match="extra: stands next to `train`"):
        read_folders(tmp_path, 32, 100)


def test_more_memory_than_allowed_is_refused_before_it_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(class_folders_io, "LARGEST_BYTES", 1000)
    with pytest.raises(ConvoyError, match="images of 32 x 32 take"):
        read_folders(album(tmp_path, 3), 32, 100)


def cifar(folder, train=80, test=20):
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for name, count in (("data_batch_1", train), ("data_batch_2", train), ("test_batch", test)):
        records = random.integers(0, 256, (count, 3073), np.uint8)
        records[:, 0] = np.arange(count) % 10
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(f"class{n}" for n in range(10)) + "\n\n")
    return folder


def test_cifars_binary_files(tmp_path):
    images = images_of(ImagesParams(source=str(cifar(tmp_path / "c"))))
    assert images.values.shape == (180, 3, 32, 32)
    assert images.facts.classes[3] == "class3"
    assert images.labels[:11].tolist() == [*range(10), 0]
    raw = (tmp_path / "c" / "data_batch_1.bin").read_bytes()
    # The second record: red, green, blue planes of 32 rows each.
    assert images.values[1, 2, 0, 5] == raw[3073 + 1 + 2 * 1024 + 5]
    assert (images.split[-20:] == TEST).all()
    assert set(images.split[:160].tolist()) == {TRAIN, VALIDATION}
    assert summary(images).startswith("180 images of 10 classes (")


def test_damaged_files_of_cifar_are_refused(tmp_path):
    folder = cifar(tmp_path / "c")
    whole = (folder / "test_batch.bin").read_bytes()
    (folder / "test_batch.bin").write_bytes(whole[:-1])
    with pytest.raises(ConvoyError, match=r"test_batch.bin: expected a multiple of 3073 bytes; found 61,459"):
        cifar_io.read_cifar(folder, 1000)
    (folder / "test_batch.bin").write_bytes(b"\x0b" + whole[1:])
    with pytest.raises(ConvoyError, match="record 0: expected a label of 0 to 9; found 11"):
        cifar_io.read_cifar(folder, 1000)
    with pytest.raises(ConvoyError, match="more images than allowed"):
        cifar_io.read_cifar(folder, 100)
    (folder / "test_batch.bin").unlink()
    with pytest.raises(ConvoyError, match="no such file"):
        cifar_io.read_cifar(folder, 1000)


def test_a_source_that_is_not_there(tmp_path):
    with pytest.raises(ConvoyError, match="no such folder"):
        images_of(ImagesParams(source=str(tmp_path / "x")))


@pytest.fixture
def stored(tmp_path):
    images = drawn(SyntheticParams(train=50, validation=50, test=50))
    write(tmp_path / "images", images)
    return images, tmp_path / "images"


def test_images_are_read_as_they_were_written(stored):
    images, folder = stored
    again = read(folder)
    assert np.array_equal(again.values, images.values)
    assert np.array_equal(again.masks, images.masks)
    assert again.facts == images.facts
    assert again.sha256.equals(images.sha256)
    assert [len(again.rows(number)) for number in range(len(SPLITS))] == [50, 50, 50]
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    write(folder, images)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_pictures_are_stored_as_bytes(tmp_path):
    images = read_folders(album(tmp_path / "a"), 32, 1000)
    write(tmp_path / "images", images)
    again = read(tmp_path / "images")
    assert again.values.dtype == np.uint8
    assert np.array_equal(again.values, images.values)
    assert again.masks is None


def reseal(folder):
    """Renew the manifest, as one who changed a file on purpose would."""
    from convoy.core.files import write_manifest

    write_manifest(folder)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda f: (f / "images.json").unlink(), "no images.json"),
        (lambda f: (f / "images.safetensors").write_bytes(b"12345678abc"), "images.safetensors: not whole"),
        (lambda f: (f / "items.parquet").write_bytes(b"PAR1"), "items.parquet: not a whole Parquet file"),
        (
            lambda f: (f / "images.json").write_text(
                (f / "images.json").read_text().replace("64", "32", 1)
            ),
            "images.safetensors: tensor '",
        ),
        (
            lambda f: (f / "images.json").write_text(
                (f / "images.json").read_text().replace('"moisture_plume"', "").replace('front",', 'front"')
            ),
            "column 'label': expected rows with 0 to 3",
        ),
    ],
)  # fmt: skip
def test_a_changed_folder_is_refused(stored, change, line):
    folder = stored[1]
    change(folder)
    reseal(folder)
    with pytest.raises(ConvoyError) as caught:
        read(folder)
    assert line in str(caught.value)


def test_a_folder_whose_bytes_changed_is_refused(stored):
    path = stored[1] / "images.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ConvoyError):
        read(stored[1])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "fox").mkdir(), "no pictures of this class"),
        (lambda f: (f / "cat" / "\x1b[31m.png").write_bytes(b""), "do not print"),
        (lambda f: picture(f / "a\nb" / "a.png"), "do not print"),
        (lambda f: picture(f / os.fsdecode(b"caf\xe9") / "a.png"), "not UTF-8"),
        (lambda f: os.mkfifo(f / "cat" / "zz.png"), "not a picture"),
        (lambda f: (f / "cat" / "zz.png").symlink_to(f / "nowhere.png"), "not a picture"),
    ],
)
def test_what_cannot_become_a_class_or_an_image_is_refused(tmp_path, spoil, message):
    spoil(album(tmp_path, 2))
    with pytest.raises(ConvoyError, match=message):
        read_folders(tmp_path, 32, 100)


def test_a_part_without_class_folders_is_refused(tmp_path):
    album(tmp_path, 2, parts=("train",))
    picture(tmp_path / "test" / "unlabelled.png")
    with pytest.raises(ConvoyError, match="test: no class folders"):
        read_folders(tmp_path, 32, 100)


def test_broken_exif_does_not_stop_a_rotation(tmp_path):
    # Make (0x010F) is text and stated to be a rational number, as no program writes it.
    entries = [(0x010F, 5, 1, 200), (0x0112, 3, 1, 6 << 16)]
    tags = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 2) + tags + bytes(200)
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert decode(tmp_path / "a.jpg", 20).repaired == ("rotated", "resized")


@pytest.mark.parametrize("name", ["x" * 501, "\x1b[31mred"])
def test_names_of_cifar_that_no_table_shows_are_refused(tmp_path, name):
    (tmp_path / cifar_io.NAMES).write_text(f"{name}\ncat\n")
    with pytest.raises(ConvoyError, match="at most 500 characters that print"):
        cifar_io.read_cifar(tmp_path, 10)
