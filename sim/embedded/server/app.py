"""The server: one thread that answers calls, steps the simulation and pushes streams.

Everything happens in one loop over non-blocking sockets, so calls run in the order of their arrival and the simulation
needs no lock. The order of one tick:

    1  the simulation steps; attached actors follow
    2  the world snapshot goes out, then the answer to `tick_cue`
    3  collision and obstacle events, then the sensors that are due and heard

In synchronous mode a tick is held back, for a while, until streams that a client announced are connected and full
queues have room. Meanwhile other clients are served; what the ticking client sent after its tick waits.
"""

from __future__ import annotations

import gc
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from roadcraft.sim.embedded.server import (  # noqa: F401  # the modules fill the table of calls
    batch,
    calls_actors,
    calls_parts,
    calls_radio,
    calls_recorder,
    calls_scene,
    calls_signals,
    calls_vehicles,
    calls_world,
)
from roadcraft.sim.embedded.server.calls import Result, answer, failure, success
from roadcraft.sim.embedded.server.crowd import populate
from roadcraft.sim.embedded.server.faults import Faults
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.logs import Refusals
from roadcraft.sim.embedded.server.maps import OPENDRIVE_MAP, Maps
from roadcraft.sim.embedded.server.navigation import Navigation
from roadcraft.sim.embedded.server.peers import Peers
from roadcraft.sim.embedded.server.recording import Recorder
from roadcraft.sim.embedded.server.replay import Replay
from roadcraft.sim.embedded.server.rpc import Connection, reply, reply_to_tick
from roadcraft.sim.embedded.server.sensors import Sensors
from roadcraft.sim.embedded.server.shown import ALL_LAYERS
from roadcraft.sim.embedded.server.snapshot import LIGHTS_CHANGED, MAP_CHANGED
from roadcraft.sim.embedded.server.streams import Session
from roadcraft.sim.embedded.server.warm import warm_up
from roadcraft.sim.embedded.town import Town, load_town, make_town
from roadcraft.sim.errors import UserError
from roadcraft.sim.roads import network_from_opendrive

log = logging.getLogger(__name__)

PATIENCE_CONNECT = 1.0  # s that a tick waits for an announced stream
PATIENCE_QUEUE = 2.0  # s that a tick waits for a full queue
ASYNC_STEP = 1 / 30  # s between free-running ticks without a fixed step
TURN = 0.02  # s for which one client's requests are run before those of the next
SWEEP = 0.1  # s between two looks for clients that are stuck or gone
DEFAULT_STEP = 0.05  # s, a synchronous tick without a fixed step
SETTLING = 0.25  # s after a new world in which its snapshots go to clients that connect anew only
PARTING = 0.3  # s for which clients that ask for a tick of a server that is told to end hear that it ends
ORPHANED = 1.0  # s after which synchronous mode without any ticking client ends


@dataclass(slots=True)
class Options:
    """How a server is started."""

    port: int = 2000
    host: str = "127.0.0.1"
    town: str = "grid"
    maps: Path | None = None
    alias_towns: bool = False
    seed: int = 0
    vehicles: int = 0
    walkers: int = 0
    fault: str = ""
    recordings: Path = field(default_factory=lambda: Path("recordings"))  # where clients' recordings go


@dataclass(slots=True)
class Settings:
    """`carla.WorldSettings`, in the wire's order."""

    synchronous: bool = False
    no_rendering: bool = False
    fixed_delta: float | None = None
    substepping: bool = True
    max_substep: float = 0.01
    max_substeps: int = 10
    max_culling: float = 0.0
    deterministic_ragdolls: bool = True
    tile_stream_distance: float = 3000.0
    active_distance: float = 2000.0
    spectator_as_ego: bool = True


@dataclass(slots=True)
class HeldTick:
    """A synchronous tick that waits."""

    connection: Connection
    number: int | None
    since: float


class Server:
    """One CARLA server."""

    def __init__(self, options: Options) -> None:
        self.options, self.host, self.port = options, options.host, options.port
        self.settings = Settings()
        self.faults = Faults(options.fault, options.seed)
        self.maps = Maps(options.maps, options.alias_towns)
        self.traffic_managers: dict[int, list[Any]] = {}
        self.custom_map = ""  # OpenDRIVE text for the next generated world
        self.held: list[HeldTick] = []
        self.caller: Connection | None = None
        self.recorder: Recorder | None = None
        self.replay: Replay | None = None
        self.replay_factor, self.replay_ignores_hero, self.replay_ignores_spectator = 1.0, False, False
        self.flags = MAP_CHANGED
        self.stopping = False
        self.peers = Peers()
        self.streams = self.peers.streams
        self.world_stream = self.episode_stream = self.streams.new()  # its first number, and that of this episode
        self.former: list[Session] = []  # of earlier episodes, which hear of the present one when it has settled
        self.settled_at = 0.0
        self.unheard = False  # whether nobody waits for the answer to the call that is being run
        self._noted: set[str] = set()
        self._refusals = Refusals(time.monotonic)
        self._orphan_since = self._swept = 0.0
        self._next_tick = time.monotonic()
        self._last_tick = time.monotonic()
        name, town = self.maps.load(options.town) if not Path(options.town).is_file() else _from_file(options.town)
        self.live = LiveWorld(town, name, seed=options.seed, stream_port=self.port + 1)
        populate(self.live, options.vehicles, options.walkers, options.seed)
        self.navigation = Navigation(self)
        self.sensors = Sensors(self)
        warm_up(town)
        self.peers.listen(self.host, self.port)

    # ------------------------------------------------------------------------------------------------ the loop
    def run(self) -> None:
        """Serves until `stop`."""
        try:
            while not self.stopping:
                self.peers.wait(self._idle_time())
                self._run_pending()
                now = time.monotonic()
                if self.held:
                    self._release(now)
                if not self.settings.synchronous and now >= self._next_tick:
                    self._free_tick(now)
                if self.former and now >= self.settled_at:
                    self._tell_former()
                self._housekeeping(now)
            self.stop_recorder()
            self._part()
        finally:
            self.close()

    def stop(self) -> None:
        """Ends `run` after what it is doing now."""
        self.stopping = True

    def _part(self) -> None:
        """Tells those who ask for a tick, a little while: the client's library waits for its time-out otherwise. Other
        calls stay without an answer: a TrafficManager's threads ask some, and an error there ends the client."""
        for tick in self.held:
            tick.connection.held = False
            self._decline_tick(tick.connection, tick.number)
        until = time.monotonic() + PARTING
        while self.peers.connections and time.monotonic() < until:
            for connection in list(self.peers.connections.values()):
                while connection.waiting:
                    number, method, *_ = connection.waiting.popleft()
                    if method == "tick_cue":
                        self._decline_tick(connection, number)
                self.peers.watch(connection)
            self.peers.wait(max(0.0, until - time.monotonic()))

    def _decline_tick(self, connection: Connection, number: int | None) -> None:
        if number is not None:
            connection.send(reply(number, None, failure(Result.VALUE, "tick_cue: the server was told to end")))

    def end_with(self, descriptor: int) -> None:
        """Ends when the pipe of that descriptor is closed; its other end is held by whoever wants the server."""
        self.peers.when_closed(descriptor, self.stop)

    def _idle_time(self) -> float:
        if self.peers.pending:
            return 0.0
        if self.held:
            return 0.02
        if self.settings.synchronous:
            return SETTLING if self.former else 0.5
        return max(0.0, self._next_tick - time.monotonic())

    def _run_pending(self) -> None:
        """Runs what clients asked: each in its own order, a while each, so that none waits for long."""
        for connection in list(self.peers.pending):
            until = time.monotonic() + TURN
            while connection.waiting and not connection.held:
                self._execute(connection, *connection.waiting.popleft())
                if time.monotonic() > until:
                    break
            if connection.held or not connection.waiting:
                self.peers.pending.pop(connection, None)  # it may be gone already: a tick lets go of closed ones
            self.peers.watch(connection)

    def _execute(
        self, connection: Connection, number: int | None, method: str, arguments: list[Any], unheard: bool
    ) -> None:
        self.caller, self.unheard = connection, unheard
        if method == "tick_cue" and self.settings.synchronous:
            connection.ticks = connection.held = True
            self.held.append(HeldTick(connection, number, time.monotonic()))
            self._release(time.monotonic())
            return
        error, result = answer(self, method, arguments)
        if number is not None:
            connection.send(reply(number, error, result))

    def _release(self, now: float) -> None:
        """Runs the first tick that waits, once nothing holds it back any more."""
        while self.held:
            tick = self.held[0]
            if not self.peers.knows(tick.connection):
                self.held.pop(0)
                continue
            if self.settings.synchronous and self._hindered(tick, now):
                return
            self.held.pop(0)
            connection = tick.connection
            connection.held = False
            if connection.waiting:
                self.peers.pending[connection] = None
            if self.settings.synchronous:
                self.tick(self.settings.fixed_delta or DEFAULT_STEP, tick)
            elif tick.number is not None:
                connection.send(reply(tick.number, None, success(Result.VALUE, self.live.frame + 1)))
            self.peers.watch(connection)

    def _hindered(self, tick: HeldTick, now: float) -> bool:
        waited = now - tick.since
        if waited < PATIENCE_CONNECT and any(each.announced for each in self.peers.connections.values()):
            return True
        congested = self.streams.congested()
        if congested and waited < PATIENCE_QUEUE:
            return True
        for session in congested:
            session.lagging = True
            log.warning("%s reads stream %s too slowly; messages are dropped", session.peer, session.stream)
        for each in self.peers.connections.values():
            each.announced.clear()
        return False

    def tick(self, delta: float, cue: HeldTick | None = None) -> None:
        """One tick, with the answer to the client that asked for it."""
        live = self.live
        self._last_tick = time.monotonic()
        if self.replay is not None and not self.replay.advance(delta, self.replay_factor):
            self.stop_replay(keep=True)
        live.step(delta)
        for actor in live.buried():
            self.sensors.forget(actor)
        if self.recorder is not None:
            self.recorder.frame(live, delta)
        self.faults.at_tick(live.frame)
        self._publish(delta)
        if cue is not None and cue.number is not None:
            cue.connection.send(reply_to_tick(cue.number, success(Result.VALUE, live.frame)))
        self.sensors.after_tick(delta)

    def _publish(self, delta: float) -> None:
        """Sends the snapshot."""
        parts = self.live.snapshots.pack(self.live, delta, self.flags)
        self.flags = 0
        self.streams.send(self.world_stream, parts, self.settings.synchronous)

    def _tell_former(self) -> None:
        """Clients that have not loaded the present world themselves learn of it."""
        parts = self.live.snapshots.pack(self.live, self.settings.fixed_delta or DEFAULT_STEP, MAP_CHANGED)
        size = sum(map(len, parts))
        for session in self.former:
            if not session.closed:
                self.streams.subscribe(session)
                session.send(parts, size, self.settings.synchronous)
                self.peers.interest(session)
        self.former = []

    def _free_tick(self, now: float) -> None:
        """Asynchronous mode: real time, in fixed steps when a client asked for them."""
        fixed = self.settings.fixed_delta
        pace = fixed or ASYNC_STEP
        delta = fixed or min(0.1, max(1e-3, now - self._last_tick))
        self._next_tick = max(self._next_tick + pace, now - pace)
        self.tick(delta)

    def _housekeeping(self, now: float) -> None:
        if now < self._swept + SWEEP:
            return
        self._swept = now
        for connection in [each for each in self.peers.connections.values() if each.inbox.stuck(now)]:
            log.warning("%s: a message that is never finished; closed", connection.peer)
            self.peers.drop(connection)
        if not self.settings.synchronous or any(each.ticks for each in self.peers.connections.values()):
            self._orphan_since = now
        elif now - self._orphan_since > ORPHANED:
            log.warning("no client that ticks is left: asynchronous mode again")
            self.leave_synchronous()

    # ------------------------------------------------------------------------------------------ for the calls
    def leave_synchronous(self) -> None:
        """Back to asynchronous mode with a variable step."""
        self.settings.synchronous, self.settings.fixed_delta = False, None
        self._next_tick = self._last_tick = time.monotonic()

    def hurry(self) -> None:
        """In asynchronous mode, without a fixed step, the next tick comes before the next answer.

        So a client knows of an actor that it spawned one answer later. CARLA, which spends a frame or so on a spawn,
        seems to know it at once, and some scripts count on that.
        """
        if not self.settings.synchronous and self.settings.fixed_delta is None:
            self._next_tick = min(self._next_tick, self._last_tick)

    def change_settings(self, wanted: tuple[Any, ...]) -> None:
        """Takes a client's settings over, in the wire's order; a fixed step of 0 means none."""
        was = self.settings.synchronous
        self.settings = Settings(*wanted)
        self.settings.fixed_delta = self.settings.fixed_delta or None
        if self.settings.synchronous and self.caller is not None:
            self.caller.ticks = True
        if self.settings.synchronous and not was:  # how long it has run freely shall not show in any picture
            self.live.blinks_from = self.live.simulation.time
        if was and not self.settings.synchronous:
            self._next_tick = self._last_tick = time.monotonic()
            for connection in self.peers.connections.values():
                connection.ticks = False

    def replace_world(self, town: Town, name: str, reset_settings: bool, layers: int = ALL_LAYERS) -> None:
        """A new episode on that town.

        Its snapshots have a number of their own. The client that loaded it subscribes to it while a thread of its may
        still be busy with the last snapshot before, and end the old subscription after that: with one number for both
        it would end the new one, or crash. Until that is over nothing is sent to the sessions that were there before.
        """
        old = self.live
        self.live = LiveWorld(
            town, name, episode=old.episode + 1, frame=old.frame, seed=self.options.seed, after=old.last_id,
            stream_port=self.port + 1, layers=layers,
        )  # fmt: skip
        self.live.inherit(old)
        self.stop_recorder()
        self.replay = None
        self.sensors.clear()
        self.flags = MAP_CHANGED
        self.former += self.streams.withdraw(self.world_stream)
        self.episode_stream = self.streams.another(self.world_stream)
        self.settled_at = time.monotonic() + SETTLING
        if reset_settings:
            self.leave_synchronous()

    def stop_recorder(self) -> None:
        """Ends the recording, if there is one."""
        if self.recorder is not None:
            self.recorder.close()
            self.recorder = None

    def stop_replay(self, keep: bool) -> None:
        """Ends the replay, if there is one; its actors stay or go."""
        if self.replay is not None:
            replay, self.replay = self.replay, None
            replay.finish(keep)

    def custom_town(self) -> Town:
        """The town of the last OpenDRIVE text that a client sent. Raises UserError when it is broken."""
        text = self.custom_map
        network = network_from_opendrive(text, OPENDRIVE_MAP)
        return make_town(OPENDRIVE_MAP, text, network)

    def lights_changed(self) -> None:
        """The next snapshot tells clients that street lights have changed."""
        self.flags |= LIGHTS_CHANGED

    def note(self, message: str) -> None:
        """A warning in the log, each only once."""
        if len(self._noted) < 200 and message not in self._noted:
            self._noted.add(message)
            log.warning("%s", message)

    def refused(self, name: str, arguments: Any, reason: UserError, *, told: bool = True) -> None:
        """What is being run fails; the log alone says so where the answer does not (`told`) or nobody waits for it."""
        if self.unheard or not told:
            stream = name.endswith("_for_ros")  # theirs is a stream's number
            number = arguments[0] if isinstance(arguments, list) and arguments and not stream else None
            actor = self.live.actors.by_id.get(number) if isinstance(number, int) else None
            which = f" for actor {actor.id} ({actor.type_id})" if actor else ""
            self._refusals.say(f"refused a client's {name}{which}: {reason}")

    def close(self) -> None:
        """Ends a recording and gives all sockets back."""
        self.stop_recorder()
        self.peers.close()


def _from_file(path: str) -> tuple[str, Town]:
    return Path(path).stem, load_town(path)


def serve(ready: Callable[[Server], None] | None = None, **options: Any) -> None:
    """Runs a server until SIGTERM or SIGINT; `ready` is called when it listens. Arguments as in `Options`."""
    server = Server(Options(**options))
    if server.host not in ("127.0.0.1", "localhost", "::1"):
        log.warning("listening on %s: anybody who reaches this machine can control the simulation", server.host)

    def end(number: int, frame: FrameType | None) -> None:
        server.stop()

    gc.collect()
    gc.freeze()  # kernels and town stay: no collection need walk through them again
    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        if ready is not None:
            ready(server)
        server.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
