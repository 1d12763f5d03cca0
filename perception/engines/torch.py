"""The network in eager PyTorch: the reference that the others are compared with."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from roadcraft.perception.heads import OUTPUTS
from roadcraft.perception.network import Network, publish


class TorchStepper:
    """The module itself, on the CPU or a GPU."""

    def __init__(self, network: Network, precision: str, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._network = network.eval().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._bf16 = precision == "bf16"
        self.threads = torch.get_num_threads()
        torch.set_flush_denormal(True)
        self.reset()

    def reset(self) -> None:
        """The network's own initial state."""
        self._state = self._network.initial(1)

    @torch.inference_mode()
    def step(self, frame: NDArray[np.uint8], motion: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """See `base.Stepper`."""
        pixels, moved = torch.from_numpy(frame).to(self._device), torch.from_numpy(motion).to(self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            heads, state = self._network.step(self._state, pixels, moved)
        self._state = tuple(s.float() for s in state)
        published = publish(heads)
        return {name: published[name][0].cpu().numpy() for name in OUTPUTS}
