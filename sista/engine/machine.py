"""How a pre-training run uses the machine. Torch is imported when a run starts."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from sista.errors import UserError, check_range

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]
Compiled = Literal["auto", "on", "off"]
# Steps that earn back what the first ones cost: one to two minutes for two large encoders, against
# some hundredths of a second a step.
PAYS = 5000
# Batches made ahead: one that is ready, and one under way.
AHEAD = 2


@dataclass(frozen=True)
class Mode:
    """What suits the device of a run; the values do not depend on it.

    Attributes:
        packed: reports come in one row (`sista.encoders.packing`), not in pieces by length.
        ahead: batches made while the device computes; 0 = none.
        compiled: torch.compile fuses the encoders.
        graphs: what is compiled is recorded as well and started as one (CUDA graphs).
    """

    packed: bool = False
    ahead: int = 0
    compiled: bool = False
    graphs: bool = False

    @classmethod
    def of(
        cls, device: str, compiled: Compiled = "auto", steps: int = 0, whole: bool = True
    ) -> "Mode":
        """Return what suits a kind of device.

        Args:
            device: `cpu` or `cuda`.
            compiled: `auto` compiles on a GPU a run that is whole and long enough to pay for it.
            steps: of the whole run.
            whole: one process embeds a batch in one piece. Only then are graphs recorded: what
                they return lives until they are started again, and they wait for nobody.
        """
        gpu = device == "cuda"
        # What is not recorded was never seen to pay.
        pays = gpu and whole and steps >= PAYS
        on = compiled == "on" or (compiled == "auto" and pays)
        return cls(packed=gpu, ahead=AHEAD if gpu else 0, compiled=on, graphs=on and gpu and whole)


@dataclass(frozen=True)
class Machine:
    """What a run may use.

    Attributes:
        device: `auto` takes a GPU where torch sees one.
        threads: on the CPU; part of the bits of the result.
        compiled: see `Mode.of`.
        save_every: steps after which the state is saved, besides each epoch's end.
    """

    device: Device
    threads: int
    compiled: Compiled
    save_every: int

    def __post_init__(self) -> None:
        """Refuse numbers that nothing can be computed with.

        Raises:
            UserError: names the option.
        """
        check_machine(self.device, self.threads)
        if self.compiled not in get_args(Compiled):
            valid = ", ".join(get_args(Compiled))
            raise UserError(f"--compiled: unknown word {self.compiled!r}; valid: {valid}")
        check_range("--save-every", self.save_every, 1)

    def start(self, seed: int) -> "torch.device":
        """Set what decides the bits of a run and return its device.

        Raises:
            UserError: CUDA is asked for and not there.
        """
        import torch

        # The order in which a sum is split among threads decides its last bits.
        torch.set_num_threads(self.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Nothing here reads memory before it is written; filling it costs a twentieth of a step.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.manual_seed(seed)
        device = find_device(self.device)
        if device.type == "cuda":
            # Several processes of one machine: each has its own GPU.
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        return device


def check_machine(device: str, threads: int) -> None:
    """Refuse what nothing can be computed with.

    Raises:
        UserError: names the option.
    """
    if device not in get_args(Device):
        valid = ", ".join(get_args(Device))
        raise UserError(f"--device: unknown device {device!r}; valid: {valid}")
    check_range("--threads", threads, 1)


def find_device(device: str) -> "torch.device":
    """Return torch's device of a word of `Device`.

    Raises:
        UserError: CUDA is asked for and not there.
    """
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise UserError("--device cuda: torch sees no GPU here; leave the option out or use cpu")
    return torch.device("cuda" if there and device != "cpu" else "cpu")
