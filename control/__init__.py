"""What to do about it: drivers, policy, supervisor, the Gymnasium environment and its training.

Importing this package registers `roadcraft/Drive-v0` with Gymnasium.
"""

import gymnasium

if "roadcraft/Drive-v0" not in gymnasium.registry:
    gymnasium.register("roadcraft/Drive-v0", entry_point="roadcraft.control.env:DriveEnv")
