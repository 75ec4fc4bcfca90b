"""In place of python-prctl, which picamera2 asks to name its threads."""


def set_name(name):
    pass
