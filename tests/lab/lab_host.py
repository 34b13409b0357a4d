"""One host of the lab as a test holds it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from lab_machines import Lab, Machine


@dataclass(frozen=True)
class LabHost:
    """Empty, and nobody else on it while the test runs. More faults (crash, host key) are methods of `lab`."""

    lab: Lab
    machine: Machine

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def root(self) -> str:
        """The folder below which stacks install."""
        return self.machine.root

    def sh(self, script: str, *, stdin: bytes = b"") -> str:
        """Run a script as root, past sshd and the link (works while the host is cut off)."""
        return self.lab.root_shell(self.name, script, stdin=stdin)

    def ssh(self, *argv: str, options: tuple[str, ...] = (), far: bool = False) -> subprocess.CompletedProcess[str]:
        """OpenSSH's own client, as an operator would use it; `far` goes through the link emulator."""
        target = f"{self.name}-far" if far else self.name
        command = ["ssh", "-F", str(self.lab.state / "ssh_config"), *options, target, *argv]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def cut(self, *chains: str) -> None:
        """Every packet between the laptop and this host (in one direction: `INPUT` or `OUTPUT`, the host's) is dropped
        from now on; it still reaches the registry."""
        self.lab.cut(self.name, *chains)

    def heal(self) -> None:
        self.lab.heal(self.name)
