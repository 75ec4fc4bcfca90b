"""AutCar's remote control, from a laptop: python remote.py CAR_ADDRESS.

On the car: [cockpit] remote_port = 8090 and remote_listen = "0.0.0.0" in car.toml, then
`autcar record`. It knows no pairing: anybody on that network can drive. The cockpit does better.
"""

import sys
import time

from autcar import RemoteController

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 8090
with RemoteController(address, port) as remote:
    remote.connect()
    for command in ("fast", "leftlight", "rightlight", "fast", "stop"):
        remote.send_cmd(command)
        time.sleep(1)
