"""Which splits may pass, asked one by one."""

from convoy.climate.data.headers import read_headers
from convoy.climate.gate.days import Times
from convoy.climate.gate.splits import Splits, split_checks
from tests.support.stored_grids import spans


def split_faults(sound, split_by="years", future="fail", **parts):
    _, domains = read_headers(sound)
    times = {(domain.name, "coarse"): Times.of(domain.of("coarse")) for domain in domains}
    checks = split_checks(Splits.of(parts, times), domains, split_by, future)
    return {
        check.rule.name: (check.rule.warns, {k: v for k, v in check.faults.items() if v is not None})
        for check in checks
    }


def test_future_in_training(sound):
    parts = spans(train=[("home", 2001, 2001), ("home", 2003, 2003)], validation=[("far", 2001, 2001)])
    parts["test"] = [{"domain": "home", "from": "2002-01-01", "to": "2002-12-31"}]
    told = {"train": "home 365 days: 2003-01-01 to 2003-12-31; test begins 2002-01-01"}
    assert split_faults(sound, **parts)["split_future"] == (False, told)
    assert split_faults(sound, future="warn", **parts)["split_future"] == (True, told)
    assert split_faults(sound, split_by="ranges", **parts)["split_future"] == (True, told)
    assert "split_future" not in split_faults(sound, split_by="blocks", **parts)
    past = spans(train=[("home", 2001, 2002)], test=[("home", 2003, 2003)], validation=[("far", 2001, 2001)])
    assert split_faults(sound, **past)["split_future"] == (False, {})


def test_a_split_that_is_not_there_or_has_no_dates(sound):
    told = split_faults(sound, train=[{"domain": "home", "from": "2001", "to": "2002"}], test=[])
    assert told["split_empty"][1] == dict.fromkeys(("train", "validation", "test"), "no day")
    assert told["split_spans"][1] == {
        "train": "home from '2001' to '2002', expected two dates YYYY-MM-DD in order"
    }
