"""The real picamera2 on a simulated camera module."""

import fcntl
import os
import sys
from pathlib import Path

import pytest

CHIPS = Path(__file__).parent / "chips"


class _Heap:
    """Ordinary memory in place of the Pi's contiguous one."""

    isValid = True  # noqa: N815 picamera2's name

    def alloc(self, name, size):
        from picamera2.dma_heap import UniqueFD

        file = os.memfd_create(name)
        os.ftruncate(file, size)
        return UniqueFD(file)

    def close(self):
        pass


class _NoSync:
    """fcntl without the request that only contiguous memory understands."""

    def __getattr__(self, name):
        return getattr(fcntl, name)

    def ioctl(self, file, request, argument=0):
        from picamera2.dma_heap import DMA_BUF_IOCTL_SYNC

        return 0 if request == DMA_BUF_IOCTL_SYNC else fcntl.ioctl(file, request, argument)


@pytest.fixture(scope="session")
def picamera2():
    """The picamera2 package as it is installed; pip install --no-deps picamera2."""
    pytest.importorskip(
        "videodev2", reason="the real picamera2 is not installed; .ci/run shows how"
    )
    sys.path.insert(0, str(CHIPS))
    import picamera2
    import picamera2.allocators.dmaallocator as allocator

    allocator.DmaHeap = _Heap
    allocator.fcntl = _NoSync()
    yield picamera2
    sys.path.remove(str(CHIPS))


@pytest.fixture
def sim(picamera2):
    """The hand on the simulated camera module."""
    from libcamera import SIM

    SIM.reset()
    yield SIM
    SIM.reset()
