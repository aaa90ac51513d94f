"""Network namespaces whose way to this machine's servers can be cut, as a dead switch would cut it.

    here ── 198.18.N.1 ──┐
                         ├─ a bridge in a namespace of its own
    a namespace, .10 ────┤
    a namespace, .11 ────┘

A cut takes one port off the bridge: both ends keep their link, and what they send is lost. No FIN,
no RST, no ICMP, and no error but a clock's. It takes root, and `ip` of iproute2.
"""

import contextlib
import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil

from tests.programs import find_program

_STEM = "refaults"
_NETWORKS = 250
_FIRST_HOST = 10
# RFC 2544 keeps these addresses for measurements: nobody's network has them.
_NETWORK = "198.18.{number}"


def may_make() -> bool:
    """Whether this process may make namespaces."""
    return os.geteuid() == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One namespace, and its port of the bridge."""

    namespace: str
    address: str
    _bridge_namespace: str
    _port: str

    @property
    def prefix(self) -> list[str]:
        """What makes a command run in it; the process stays the one that was started."""
        return [find_program("ip"), "netns", "exec", self.namespace]

    def cut(self) -> None:
        """Lose everything that is sent either way, from now on."""
        _ip("-n", self._bridge_namespace, "link", "set", self._port, "nomaster")

    def mend(self) -> None:
        """Let through what is sent, from now on."""
        _ip("-n", self._bridge_namespace, "link", "set", self._port, "master", "bridge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A bridge and its segments."""

    address: str
    """Of this machine, for its servers to listen on."""
    segments: tuple[Segment, ...]

    @property
    def range(self) -> str:
        """All its addresses, as pg_hba.conf wants them."""
        return f"{self.address}/24"


@contextlib.contextmanager
def running(segments: int) -> Iterator[Network]:
    """Make a network with so many segments; it is gone after the block.

    What runs in a segment is to have ended by then: a process would keep its namespace.
    """
    remove_leftovers()
    with contextlib.ExitStack() as stack:
        yield _make(segments, stack)


def remove_leftovers() -> None:
    """Remove the namespaces of processes that are gone; with a namespace go its devices."""
    for namespace in _json("netns", "list"):
        stem, _, rest = namespace["name"].partition("-")
        owner = rest.partition("-")[0]
        if stem == _STEM and owner.isdigit() and not psutil.pid_exists(int(owner)):
            _ip("netns", "delete", namespace["name"])


def _make(segments: int, stack: contextlib.ExitStack) -> Network:
    token = f"{os.getpid()}-{secrets.token_hex(2)}"
    middle = _namespace(f"{_STEM}-{token}", stack)
    _ip("-n", middle, "link", "add", "bridge", "type", "bridge")
    _ip("-n", middle, "link", "set", "bridge", "up")
    # A device of this machine's own namespace, whose name everybody shares; 15 bytes at most.
    here = f"rf{secrets.token_hex(5)}"
    network = _NETWORK.format(number=_free_number())
    _ip("link", "add", here, "type", "veth", "peer", "name", "here", "netns", middle)
    stack.callback(_ip, "link", "delete", here)
    _ip("address", "add", f"{network}.1/24", "dev", here)
    _ip("link", "set", here, "up")
    _attach(middle, "here")
    made: list[Segment] = []
    for number in range(segments):
        namespace = _namespace(f"{_STEM}-{token}-{number}", stack)
        address, port = f"{network}.{_FIRST_HOST + number}", f"port{number}"
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip(
            *("-n", namespace, "link", "add", "uplink", "type", "veth"),
            *("peer", "name", port, "netns", middle),
        )
        _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "uplink")
        _ip("-n", namespace, "link", "set", "uplink", "up")
        _attach(middle, port)
        # Known for good: behind a router nobody would learn from ARP that the other end is gone.
        _know(("-n", namespace), f"{network}.1", _mac((), here), "uplink")
        _know((), address, _mac(("-n", namespace), "uplink"), here)
        made.append(
            Segment(namespace=namespace, address=address, _bridge_namespace=middle, _port=port)
        )
    return Network(address=f"{network}.1", segments=tuple(made))


def _namespace(name: str, stack: contextlib.ExitStack) -> str:
    _ip("netns", "add", name)
    stack.callback(_ip, "netns", "delete", name)
    return name


def _attach(middle: str, port: str) -> None:
    _ip("-n", middle, "link", "set", port, "master", "bridge")
    _ip("-n", middle, "link", "set", port, "up")


def _know(where: tuple[str, ...], address: str, mac: str, device: str) -> None:
    _ip(
        *(*where, "neighbour", "replace", address, "lladdr", mac),
        *("dev", device, "nud", "permanent"),
    )


def _mac(where: tuple[str, ...], device: str) -> str:
    return str(_json(*where, "link", "show", device)[0]["address"])


def _free_number() -> int:
    taken = {
        address["local"].rpartition(".")[0]
        for device in _json("address", "show")
        for address in device["addr_info"]
        if address["family"] == "inet"
    }
    free = [n for n in range(1, _NETWORKS) if _NETWORK.format(number=n) not in taken]
    return secrets.choice(free)


def _json(*words: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(_ip("-json", *words) or "[]")
    return listed


def _ip(*words: str) -> str:
    done = subprocess.run(
        [find_program("ip"), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr.strip()}"
    return done.stdout
