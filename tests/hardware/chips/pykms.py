"""In place of pykms, which picamera2 loads for previews on a screen."""


class _Any:
    def __getattr__(self, name):
        return name


PixelFormat = _Any()
