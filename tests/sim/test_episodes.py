"""Seeds: which episode each makes, and that what is trained on is never evaluated on."""

from __future__ import annotations

import pytest

from roadcraft.launch.build import build_episode
from roadcraft.launch.options.evaluation import EvaluatePolicy
from roadcraft.launch.options.shared import Traffic as ConfigTraffic
from roadcraft.sim.embedded.town import STYLES as TOWN_STYLES
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.episodes import STYLES, WEATHERS, episode_from_seed, town_of
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Traffic
from roadcraft.sim.roads import SignalKind
from roadcraft.sim.routes import route_from_seed
from roadcraft.sim.scenarios import scenarios_of


def test_every_style_is_a_town() -> None:
    assert set(STYLES) == set(TOWN_STYLES)


def test_training_validation_and_evaluation_share_no_town() -> None:
    towns = [{town_of(seed) for seed in range(k * 1000, (k + 1) * 1000)} for k in (0, 1, 2, 9, 10)]
    assert sum(len(group) for group in towns) == len(set().union(*towns))
    assert all(len(group) == 20 for group in towns)


def test_a_hundred_seeds_meet_every_style_in_every_weather() -> None:
    episodes = [episode_from_seed(seed) for seed in range(9000, 9100)]
    met = {(episode.town.split("-")[0], episode.weather) for episode in episodes}
    assert len(met) == len(STYLES) * len(WEATHERS)


def test_the_drive_on_show_meets_a_light() -> None:
    episode = episode_from_seed(2000)
    assert episode.town.startswith("grid-")
    assert episode.weather == WEATHERS["clear"]
    route = route_from_seed(load_town(episode.town).network, episode.seed, episode.route_length)
    assert route.length >= 500.0
    assert route.junctions >= 3
    assert (route.stops["kind"] == SignalKind.LIGHT).sum() >= 2


def test_a_seed_draws_scenarios_unless_others_are_named() -> None:
    assert episode_from_seed(5).scenarios == scenarios_of(5)
    assert len(scenarios_of(5)) > 2
    assert episode_from_seed(5, scenarios=("cut_in",)).scenarios == ("cut_in",)
    for wanted in (True, False):
        asked = EvaluatePolicy(traffic=ConfigTraffic(scenarios=wanted))
        assert bool(build_episode(asked, 5).scenarios) == wanted


def test_overrides_replace_fields() -> None:
    episode = episode_from_seed(1, weather="night", traffic=Traffic(0, 0), camera=None)
    assert episode.weather.sun_altitude_angle < 0
    assert episode.traffic == Traffic(0, 0)
    assert episode == episode_from_seed(1, weather=WEATHERS["night"], traffic=Traffic(0, 0), camera=None)
    with pytest.raises(UserError, match=r"'snow'.*night"):
        episode_from_seed(1, weather="snow")
    with pytest.raises(UserError, match="-1"):
        episode_from_seed(-1)
