"""Switch that replaces compiled kernels by their plain twins: see docs/kernels.md."""

import os

from convoy.core.errors import ConvoyError

VARIABLE = "CONVOY_KERNELS_OFF"
KERNELS = ("lookup", "token_convolution", "token_convolution_cuda", "winograd", "word_scan")


def enabled(kernel: str) -> bool:
    """False where the environment variable CONVOY_KERNELS_OFF names the kernel, or is `all`.

    Several names are separated by commas. Raises ConvoyError for an unknown name.
    """
    assert kernel in KERNELS
    off = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    unknown = [name for name in off if name not in (*KERNELS, "all")]
    if unknown:
        raise ConvoyError(
            f"{VARIABLE}: expected all or names out of {', '.join(KERNELS)}; found {', '.join(unknown)}"
        )
    return kernel not in off and "all" not in off
