"""A camera module that is not there: enough of libcamera for the real picamera2 to run on.

Only what picamera2 0.3 calls is here, with libcamera's own names. ``SIM`` is the hand
on the hardware: what the scene is, how often frames come, and what goes wrong.
"""

import enum
import mmap
import os
import sys
import threading
import time
from contextlib import suppress
from types import ModuleType, SimpleNamespace

import numpy as np


class Sim:
    """The simulated camera module."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.fps = 60.0
        self.latency_ms = 12.0  # from exposure to the finished frame
        self.stalled = False  # no frame at all, as with a loose cable
        self.frozen = False  # the same image again and again, with new times
        self.torn = False  # frames that are marked as faulty
        self.stride_align = 64
        self.largest = (3280, 2464)
        self.busy = False
        self.cameras = ["/base/soc/i2c0mux/i2c@1/imx219@10"]
        self.scene = lambda width, height, sequence: np.full(
            (height, width, 3), (200, 100, 50), np.uint8
        )
        self.starved = 0
        self.controls = {}


SIM = Sim()


class StreamRole(enum.Enum):
    Raw, StillCapture, VideoRecording, Viewfinder = range(4)


class Orientation(enum.Enum):
    Rotate0, Rotate0Mirror, Rotate180, Rotate180Mirror = 1, 2, 3, 4
    Rotate90Mirror, Rotate270, Rotate270Mirror, Rotate90 = 5, 6, 7, 8


class Size:
    def __init__(self, width=0, height=0):
        self.width, self.height = width, height


class Rectangle:
    def __init__(self, x=0, y=0, width=0, height=0):
        self.x, self.y, self.width, self.height = x, y, width, height


class Transform:
    def __init__(self, other=None, hflip=0, vflip=0, transpose=0):
        if other is not None:
            hflip, vflip, transpose = other.hflip, other.vflip, other.transpose
        self.hflip, self.vflip, self.transpose = bool(hflip), bool(vflip), bool(transpose)

    def __str__(self):
        return f"<Transform {self.hflip} {self.vflip} {self.transpose}>"


class ColorSpace:
    class Primaries(enum.Enum):
        Raw, Smpte170m, Rec709 = range(3)

    class TransferFunction(enum.Enum):
        Linear, Srgb, Rec709 = range(3)

    class YcbcrEncoding(enum.Enum):
        Null, Rec601, Rec709 = range(3)

    class Range(enum.Enum):
        Full, Limited = range(2)

    def __init__(self, *parts):
        if len(parts) == 1:
            (other,) = parts
            parts = (other.primaries, other.transferFunction, other.ycbcrEncoding, other.range)
        self.primaries, self.transferFunction, self.ycbcrEncoding, self.range = parts

    def __str__(self):
        return f"<ColorSpace {self.primaries.name}>"

    @staticmethod
    def Sycc():  # noqa: N802 libcamera's names
        kind = ColorSpace
        return kind(
            kind.Primaries.Rec709,
            kind.TransferFunction.Srgb,
            kind.YcbcrEncoding.Rec601,
            kind.Range.Full,
        )

    @staticmethod
    def Smpte170m():  # noqa: N802
        kind = ColorSpace
        return kind(
            kind.Primaries.Smpte170m,
            kind.TransferFunction.Rec709,
            kind.YcbcrEncoding.Rec601,
            kind.Range.Limited,
        )

    Rec709 = Smpte170m
    Raw = Smpte170m


class PixelFormat:
    def __init__(self, name):
        self._name = str(name)

    def __str__(self):
        return self._name


class SensorConfiguration:
    bit_depth = 0
    output_size = None


class FrameMetadata:
    class Status(enum.Enum):
        Success, Error, Cancelled, Startup = range(4)

    class Plane:
        def __init__(self, length):
            self.bytes_used = length


class FrameBuffer:
    class Plane:
        fd = -1
        offset = 0
        length = 0

    def __init__(self, planes):
        self.planes = planes
        self.memory = mmap.mmap(planes[0].fd, planes[0].length)
        self.metadata = SimpleNamespace(
            status=FrameMetadata.Status.Success,
            sequence=0,
            timestamp=0,
            planes=[FrameMetadata.Plane(plane.length) for plane in planes],
        )


class FrameBufferAllocator:
    def __init__(self, camera):
        raise RuntimeError("frames of this camera lie in DMA memory")


class ControlId:
    def __init__(self, name, kind):
        self.name, self.type = name, kind


class ControlType(enum.Enum):
    Null, Bool, Byte, Integer32, Integer64, Float, String, Rectangle, Size, Point = range(10)


class ControlInfo:
    def __init__(self, low, high, default=None):
        self.min, self.max, self.default = low, high, default


def _module(name, **kinds):
    module = ModuleType(f"libcamera.{name}")
    for key, kind in kinds.items():
        setattr(module, key, ControlId(key, kind))
    sys.modules[module.__name__] = module
    return module


_T = ControlType
controls = _module(
    "controls",
    FrameDurationLimits=_T.Integer64,
    FrameDuration=_T.Integer64,
    ExposureTime=_T.Integer32,
    AnalogueGain=_T.Float,
    DigitalGain=_T.Float,
    ColourGains=_T.Float,
    ExposureTimeMode=_T.Integer32,
    AnalogueGainMode=_T.Integer32,
    AeEnable=_T.Bool,
    AwbEnable=_T.Bool,
    NoiseReductionMode=_T.Integer32,
    ScalerCrop=_T.Rectangle,
    SensorTimestamp=_T.Integer64,
)
controls.draft = SimpleNamespace(
    NoiseReductionModeEnum=enum.IntEnum(
        "NoiseReductionModeEnum", "Off Fast HighQuality Minimal ZSL", start=0
    )
)
properties = _module(
    "properties",
    Model=_T.String,
    Location=_T.Integer32,
    Rotation=_T.Integer32,
    PixelArraySize=_T.Size,
    ColorFilterArrangement=_T.Integer32,
)
properties.draft = SimpleNamespace(
    ColorFilterArrangementEnum=enum.IntEnum(
        "ColorFilterArrangementEnum", "RGGB GRBG GBRG BGGR RGB MONO", start=0
    )
)
formats = _module("formats")

_BYTES = {"RGB888": 3, "BGR888": 3, "XRGB8888": 4, "XBGR8888": 4}
_RAW = "SRGGB10_CSI2P"
_MODES = [(640, 480), (1640, 1232), (3280, 2464)]


def _aligned(value, to):
    return -(-value // to) * to


class StreamFormats:
    def __init__(self, raw):
        self._sizes = {_RAW: _MODES} if raw else {name: [(640, 480)] for name in _BYTES}

    @property
    def pixel_formats(self):
        return [PixelFormat(name) for name in self._sizes]

    def sizes(self, pixel_format):
        return [Size(*size) for size in self._sizes[str(pixel_format)]]


class Stream:
    configuration = None


class StreamConfiguration:
    def __init__(self, role):
        raw = role is StreamRole.Raw
        self.size = Size(640, 480)
        self.pixel_format = PixelFormat(_RAW if raw else "XRGB8888")
        self.buffer_count, self.stride, self.frame_size = 4, 0, 0
        self.color_space = None
        self.formats = StreamFormats(raw)
        self.stream = Stream()

    def settle(self):
        width, height = SIM.largest
        if (self.size.width, self.size.height) > (width, height):
            self.size = Size(width, height)
        width = self.size.width
        name = str(self.pixel_format)
        line = width * 10 // 8 if name == _RAW else width * _BYTES[name]
        self.stride = _aligned(line, SIM.stride_align)
        self.frame_size = self.stride * self.size.height


class CameraConfiguration:
    class Status(enum.Enum):
        Valid, Adjusted, Invalid = range(3)

    def __init__(self, roles):
        self._streams = [StreamConfiguration(role) for role in roles]
        self.orientation = Orientation.Rotate0
        self.sensor_config = None

    def at(self, index):
        return self._streams[index]

    def __iter__(self):
        return iter(self._streams)

    def validate(self):
        for stream in self._streams:
            stream.settle()
        return self.Status.Adjusted


class Request:
    class Status(enum.Enum):
        Pending, Complete, Cancelled = range(3)

    def __init__(self, cookie):
        self.cookie = cookie
        self.buffers = {}
        self.reuse()

    def add_buffer(self, stream, buffer):
        self.buffers[stream] = buffer

    def reuse(self):
        self.status = Request.Status.Pending
        self.metadata = {}
        self.wishes = {}

    def set_control(self, control, value):
        self.wishes[control] = value


class Camera:
    def __init__(self, manager, name):
        self.id = name
        self._manager = manager
        self._lock = threading.Lock()
        self._queue = []
        self._ending = None
        self._sequence = 0
        c, p = controls, properties
        self.controls = {
            c.FrameDurationLimits: ControlInfo(4829, 11767556, 33333),
            c.ExposureTime: ControlInfo(75, 11766829, 20000),
            c.AnalogueGain: ControlInfo(1.0, 10.67, 1.0),
            c.ColourGains: ControlInfo(0.0, 32.0, 1.0),
            c.NoiseReductionMode: ControlInfo(0, 4, 0),
            c.AeEnable: ControlInfo(False, True, True),
            c.AwbEnable: ControlInfo(False, True, True),
            c.ExposureTimeMode: ControlInfo(0, 1, 0),
            c.AnalogueGainMode: ControlInfo(0, 1, 0),
        }
        self.properties = {
            p.Model: "imx219",
            p.Location: 2,
            p.Rotation: 180,
            p.PixelArraySize: Size(3280, 2464),
            p.ColorFilterArrangement: 0,
        }

    def generate_configuration(self, roles):
        return CameraConfiguration(roles)

    def acquire(self):
        if SIM.busy:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")

    def release(self):
        pass

    def configure(self, configuration):
        for stream in configuration:
            stream.stream.configuration = stream

    def create_request(self, cookie=0):
        return Request(cookie)

    def queue_request(self, request):
        with self._lock:
            self._queue.append(request)

    def start(self, wishes=None):
        SIM.controls = {control.name: value for control, value in (wishes or {}).items()}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._ending,), daemon=True)
        self._thread.start()

    def stop(self):
        if self._ending is None:
            return
        self._ending.set()
        self._thread.join()
        self._ending = None
        with self._lock:
            queue, self._queue = self._queue, []
        for request in queue:
            request.status = Request.Status.Cancelled
            self._manager.done(request)

    def _run(self, ending):
        due_s = time.monotonic()
        while True:
            shortest_us = SIM.controls.get("FrameDurationLimits", (0, 0))[0]
            due_s += max(1 / SIM.fps, shortest_us / 1e6)
            if ending.wait(max(0.0, due_s - time.monotonic())):
                return
            due_s = max(due_s, time.monotonic() - 0.5)
            self._sequence += 1
            if not SIM.stalled:
                self._expose()

    def _expose(self):
        with self._lock:
            request = self._queue.pop(0) if self._queue else None
        if request is None:
            SIM.starved += 1
            return
        SIM.controls |= {control.name: value for control, value in request.wishes.items()}
        for stream, buffer in request.buffers.items():
            self._fill(stream.configuration, buffer)
        taken_ns = time.monotonic_ns() - int(SIM.latency_ms * 1e6)
        request.metadata = {
            controls.SensorTimestamp: taken_ns,
            controls.ExposureTime: SIM.controls.get("ExposureTime", 9000),
            controls.AnalogueGain: SIM.controls.get("AnalogueGain", 2.0),
            controls.ColourGains: (1.5, 1.8),
        }
        request.status = Request.Status.Complete
        self._manager.done(request)

    def _fill(self, stream, buffer):
        status = FrameMetadata.Status
        buffer.metadata.sequence = self._sequence
        buffer.metadata.status = status.Error if SIM.torn else status.Success
        name = str(stream.pixel_format)
        if name == _RAW:
            return
        width, height, count = stream.size.width, stream.size.height, _BYTES[name]
        rgb = SIM.scene(width, height, 0 if SIM.frozen else self._sequence)
        lines = np.frombuffer(buffer.memory, np.uint8).reshape(height, stream.stride)
        lines[:, width * count :] = 99  # what lies between the lines is not of the picture
        pixels = lines[:, : width * count].reshape(height, width, count)
        # The names count from the highest byte: RGB888 lies as B, G, R in memory.
        pixels[..., :3] = rgb[..., ::-1] if name in ("RGB888", "XRGB8888") else rgb


class CameraManager:
    _only = None

    @classmethod
    def singleton(cls):
        if cls._only is None:
            cls._only = cls()
        return cls._only

    def __init__(self):
        self.event_fd, self._notify = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._ready = []
        self._lock = threading.Lock()
        self._known = {}
        self.version = "v0.5.2"

    @property
    def cameras(self):
        for name in SIM.cameras:
            self._known.setdefault(name, Camera(self, name))
        return [self._known[name] for name in SIM.cameras]

    def done(self, request):
        with self._lock:
            self._ready.append(request)
        os.write(self._notify, b"1")

    def get_ready_requests(self):
        with suppress(BlockingIOError):
            os.read(self.event_fd, 4096)
        with self._lock:
            ready, self._ready = self._ready, []
        return ready


def log_set_level(*levels):
    pass


_libcamera = sys.modules[__name__]
