"""The referee against drives scored by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from roadcraft.sim.messages import ACTOR, CONTACT, DT, Facts, Kind, LightState, Mark
from roadcraft.sim.referee import Referee, Verdict
from roadcraft.sim.scores import KINDS

SPEED = 10.0  # m/s
LENGTH = 200.0  # m


def facts(frame: int, **changes: object) -> Facts:
    """Straight ahead at 10 m/s along x on a route of 200 m, nobody else there."""
    x = SPEED * DT * frame
    values: dict[str, object] = dict(
        frame=frame,
        time=frame * DT,
        pose=np.array([x, 0.0, 0.0]),
        velocity_ego=np.array([SPEED, 0.0]),
        extent=np.array([2.4, 1.0, 0.75]),
        progress=x,
        route_length=LENGTH,
        lateral_error=0.0,
        heading_error=0.0,
        lane_width=3.5,
        off_lane=0.0,
        wrong_way=False,
        speed_limit=SPEED,
        path_ego=np.zeros((60, 2)),
        junction_distance=math.inf,
        lanes_ego=np.full((4, 10), np.nan),
        lane_marks=np.zeros(4, np.uint8),
        light=LightState.UNKNOWN,
        light_distance=math.inf,
        light_id="",
        stop_distance=math.inf,
        stop_id="",
        actors=np.zeros(0, ACTOR),
        contacts=np.zeros(0, CONTACT),
        crossings=(),
        background_speed=math.nan,
    )
    return Facts(**(values | changes))  # type: ignore[arg-type]


def hit(actor: int, kind: Kind = Kind.CAR) -> np.ndarray:
    return np.array([(actor, kind, (0.0, 0.0), 500.0)], CONTACT)


def drive(
    changes: dict[int, dict[str, object]] | None = None, until: int = 400, referee: Referee | None = None
) -> Verdict:
    """The straight drive with some ticks' facts changed; returns the last verdict."""
    referee = referee or Referee()
    for frame in range(1, until + 1):
        verdict = referee(facts(frame, **(changes or {}).get(frame, {})))
        if verdict.done:
            break
    return verdict


def standing(frame: int, x: float = 50.0, **changes: object) -> Facts:
    still = dict(pose=np.array([x, 0.0, 0.0]), progress=x, velocity_ego=np.zeros(2))
    return facts(frame, **(still | changes))


def test_a_clean_drive_scores_100() -> None:
    verdict = drive()
    assert verdict.done
    assert verdict.status == "Completed"
    assert verdict.success
    assert (verdict.route_completion, verdict.score_10, verdict.score_20, verdict.score_21) == (100, 100, 100, 100)
    assert verdict.infractions == dict.fromkeys(KINDS, 0)


def test_completed_needs_99_percent_and_10_metres() -> None:
    assert not drive(until=396).done  # 198 m of 200 are 99 %, not more
    assert drive(until=397).status == "Completed"
    beside = {frame: {"lateral_error": 11.0} for frame in range(1, 401)}
    assert not drive(beside).done


@pytest.mark.parametrize(
    ("kind", "change", "factor_10", "factor_20", "cost_21"),
    [
        ("collision_pedestrian", {"contacts": hit(7, Kind.PEDESTRIAN)}, 0.5, 0.5, 1.0),
        ("collision_vehicle", {"contacts": hit(7, Kind.BICYCLE)}, 0.6, 0.6, 0.7),
        ("collision_static", {"contacts": hit(0, Kind.STATIC)}, 0.65, 0.65, 0.6),
        ("collision_static", {"contacts": hit(9, Kind.PROP)}, 0.65, 0.65, 0.6),
        ("red_light", {"red_light_run": "12"}, 0.7, 0.7, 0.4),
        ("scenario_timeout", {"scenario_events": ("scenario_timeout",)}, 1.0, 0.7, 0.4),
        ("yield_emergency", {"scenario_events": ("yield_emergency",)}, 1.0, 0.7, 0.4),
        ("stop_sign", {"stop_zone": "3"}, 0.8, 0.8, 0.25),
    ],
)
def test_each_infraction_costs_what_the_table_says(
    kind: str, change: dict[str, object], factor_10: float, factor_20: float, cost_21: float
) -> None:
    verdict = drive({100: change})
    assert verdict.infractions == dict.fromkeys(KINDS, 0) | {kind: 1}
    assert verdict.score_10 == pytest.approx(100 * factor_10)
    assert verdict.score_20 == pytest.approx(100 * factor_20)
    assert verdict.score_21 == pytest.approx(100 / (1 + cost_21))
    assert not verdict.success


def test_infractions_multiply_in_20_and_add_in_21() -> None:
    """Two cars and a red light: 0.6 * 0.6 * 0.7 and 1 / (1 + 0.7 + 0.7 + 0.4)."""
    verdict = drive({50: {"contacts": hit(7)}, 200: {"contacts": hit(8)}, 300: {"red_light_run": "1"}})
    assert verdict.score_20 == verdict.score_b2d == pytest.approx(25.2)
    assert verdict.score_21 == pytest.approx(100 / 2.8)


def test_bench2drive_scores_by_the_rules_20_without_the_minimum_speed() -> None:
    """A pedestrian at half the others' speed over the first half: 0.5, and 0.5 * (1 - 0.3 * 0.5)^2 by the rules 2.0."""
    slow = {frame: {"background_speed": 20.0 if frame <= 200 else 5.0} for frame in range(1, 401)}
    slow[50] = {**slow[50], "contacts": hit(7, Kind.PEDESTRIAN)}
    verdict = drive(slow)
    assert verdict.score_b2d == pytest.approx(50)
    assert verdict.score_20 == pytest.approx(50 * 0.85**2)


def test_half_the_route_scores_half() -> None:
    verdict = drive({100: {"contacts": hit(7)}}, until=200)
    assert verdict.route_completion == pytest.approx(50)
    assert verdict.score_20 == verdict.score_b2d == pytest.approx(30)
    assert verdict.score_21 == pytest.approx(50 / 1.7)


def test_the_same_actor_counts_again_only_after_5_s_and_5_m() -> None:
    assert drive({100: {"contacts": hit(7)}, 199: {"contacts": hit(7)}}).infractions["collision_vehicle"] == 1
    assert drive({100: {"contacts": hit(7)}, 201: {"contacts": hit(7)}}).infractions["collision_vehicle"] == 2


def test_another_actor_within_5_m_does_not_count() -> None:
    assert drive({100: {"contacts": hit(7)}, 110: {"contacts": hit(8)}}).infractions["collision_vehicle"] == 1  # 5.0 m
    assert drive({100: {"contacts": hit(7)}, 111: {"contacts": hit(8)}}).infractions["collision_vehicle"] == 2  # 5.5 m


def test_who_stands_is_not_at_fault() -> None:
    referee = Referee()
    referee(standing(1))
    assert not referee(standing(2, contacts=hit(7), velocity_ego=np.array([3.0, 0.0]))).events  # pushed


def test_stopping_dead_against_a_wall_is_a_collision() -> None:
    """The speed that counts is the one before the contact."""
    referee = Referee()
    referee(facts(1))
    assert [e.kind for e in referee(facts(2, contacts=hit(0, Kind.STATIC), velocity_ego=np.zeros(2))).events] == [
        "collision_static"
    ]


def test_one_red_light_counts_once_while_its_line_is_crossed() -> None:
    crossing = {frame: {"red_light_run": "4"} for frame in range(100, 105)}
    assert drive(crossing).infractions["red_light"] == 1
    assert drive(crossing | {200: {"red_light_run": "5"}}).infractions["red_light"] == 2


def test_a_stop_sign_asks_for_less_than_01_metres_per_second() -> None:
    box = {frame: {"stop_zone": "3"} for frame in range(100, 120)}
    slow = {110: {"stop_zone": "3", "velocity_ego": np.array([0.11, 0.0])}}
    stop = {110: {"stop_zone": "3", "velocity_ego": np.array([0.09, 0.0])}}
    assert drive(box | slow).infractions["stop_sign"] == 1
    assert drive(box | stop).infractions["stop_sign"] == 0
    assert drive(box, until=119).infractions["stop_sign"] == 0  # still inside


def test_two_stop_signs_need_two_stops() -> None:
    first = {frame: {"stop_zone": "3", "velocity_ego": np.zeros(2)} for frame in range(100, 110)}
    second = {frame: {"stop_zone": "4"} for frame in range(110, 120)}
    assert drive(first | second).infractions["stop_sign"] == 1


def test_metres_out_of_lane_are_lost() -> None:
    """A quarter of the metres beyond lane width / 2 + 0.5 m: three quarters of the score, by every rule."""
    out = {frame: {"off_lane": 2.3} for frame in range(101, 201)}
    verdict = drive(out)
    driven = (verdict.driven - 0) / DT / SPEED  # ticks with movement; the first has none before it
    assert verdict.outside == pytest.approx(100 * 100 / driven)
    assert verdict.score_10 == verdict.score_20 == verdict.score_21 == pytest.approx(100 - verdict.outside)
    assert verdict.infractions["out_of_lane"] == 1
    inside = {frame: {"off_lane": 2.2} for frame in range(101, 201)}
    assert drive(inside).outside == 0


def test_the_wrong_way_is_out_of_lane() -> None:
    verdict = drive({frame: {"wrong_way": True} for frame in (*range(100, 110), *range(200, 210))})
    assert verdict.infractions["out_of_lane"] == 2
    assert verdict.outside > 0


def test_30_m_from_the_route_ends_it() -> None:
    assert not drive({100: {"lateral_error": -29.9}}, until=100).done
    verdict = drive({100: {"lateral_error": -30.1}})
    assert verdict.status == "Failed - Agent deviated from the route"
    assert verdict.infractions["route_deviation"] == 1
    assert verdict.route_completion == pytest.approx(25)


def test_30_percent_of_the_route_far_from_it_ends_it() -> None:
    """30 % of 200 m at 0.5 m a tick are 120 ticks."""
    far = {frame: {"lateral_error": 16.0} for frame in range(2, 400)}
    referee = Referee()
    assert not drive(far, until=121, referee=referee).done
    assert referee(facts(122, lateral_error=16.0)).status == "Failed - Agent deviated from the route"


def test_180_s_of_standing_ends_it() -> None:
    referee = Referee()
    ticks = round(180 / DT)
    for frame in range(1, ticks):
        assert not referee(standing(frame)).done
    verdict = referee(standing(ticks))
    assert verdict.status == "Failed - Agent got blocked"
    assert verdict.infractions["blocked"] == 1
    assert verdict.score_21 == pytest.approx(25)  # ending costs the rest of the route, nothing else


def test_timeout_of_the_rules_2() -> None:
    """300 s, and for the 50 m made at a limit of 10 m/s another 50 / (0.1 * 10) = 50 s."""
    referee = Referee()
    creep = np.array([0.2, 0.0])
    assert not referee(standing(1, velocity_ego=creep)).done
    assert not referee(standing(7000, velocity_ego=creep)).done
    assert referee(standing(7001, velocity_ego=creep)).status == "Failed - Agent timed out"


def test_timeout_of_the_rules_1() -> None:
    """0.8 s/m * 200 m + 5 s = 165 s."""
    referee = Referee(timeout_rule="1.0")
    assert not referee(standing(3300)).done
    assert referee(standing(3301)).infractions["timeout"] == 1


def test_half_the_speed_of_the_others_at_two_quarters() -> None:
    """2.0: (1 - 0.3 * 0.5)^2; 2.1: 1 / (1 + 0.4 * 0.5 * 2). Faster than the others gives nothing."""
    others = {frame: {"background_speed": 20.0 if frame <= 200 else 5.0} for frame in range(1, 401)}
    verdict = drive(others)
    assert verdict.min_speeds == pytest.approx((50, 50, 200, 200))
    assert verdict.infractions["min_speed"] == 2
    assert verdict.score_10 == 100
    assert verdict.score_20 == pytest.approx(100 * 0.85**2)
    assert verdict.score_21 == pytest.approx(100 / 1.4)
    assert verdict.score_b2d == 100
    assert verdict.success  # minimum speed aside
    assert verdict.efficiency == pytest.approx(125)


def test_crossed_lane_lines_cost_nothing() -> None:
    assert drive({100: {"crossings": (Mark.SOLID,)}}).score_21 == 100


def test_progress_is_never_lost() -> None:
    referee = Referee()
    referee(facts(100))
    assert referee(replace(facts(101), progress=10.0)).route_completion == pytest.approx(25)


def test_stale_facts_and_facts_after_the_end_are_refused() -> None:
    referee = Referee()
    referee(facts(1))
    with pytest.raises(ValueError, match="frame 1"):
        referee(facts(1))
    drive(until=400, referee=(ended := Referee()))
    with pytest.raises(ValueError, match="ended"):
        ended(facts(500))
