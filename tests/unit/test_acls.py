"""Who may read and write which topic with SECURE=1: what the services do, and nothing beside it."""

from collections import defaultdict
from pathlib import Path

import pytest

from deploy.local import secure
from deploy.local.acls import FOLLOWERS, GROUP, PREFIXED, READ, READS, TOPIC, WRITE, rules
from deploy.local.keys import Keys
from services.gateway.app import build as gateway
from services.invoicing.app import build as invoicing
from services.ledger.app import build as ledger
from services.notification.app import build as notification
from services.title.app import build as title
from shared.contracts.topics import TOPICS
from shared.runtime.programs import SERVICES
from shared.runtime.settings import Settings
from shared.runtime.shared_clock import TOPIC as CLOCK_TOPIC

BUILDS = {"title": title, "ledger": ledger, "invoicing": invoicing, "notification": notification, "gateway": gateway}


@pytest.mark.parametrize("service", BUILDS)
def test_a_service_may_read_what_it_handles_and_write_what_is_its_own(service: str, tmp_path: Path) -> None:
    build = BUILDS[service](Settings(_env_file=None, documents_url=tmp_path.as_uri()))
    mine = [rule for rule in rules() if rule.user == service and rule.resource == TOPIC]
    may: dict[int, set[str]] = defaultdict(set)
    for rule in mine:
        may[rule.operation].add(rule.name)
    assert may[READ] == {*build.topics(), CLOCK_TOPIC}
    assert may[WRITE] == {*(one.name for one in TOPICS.values() if one.owner in (service, "kaipiao")), CLOCK_TOPIC}


def test_each_topic_is_written_by_its_owner_alone() -> None:
    for topic in TOPICS.values():
        writers = {*SERVICES} if topic.owner == "kaipiao" else {topic.owner}
        assert {rule.user for rule in rules() if rule.name == topic.name and rule.operation == WRITE} == writers


def test_nobody_joins_another_ones_group() -> None:
    for rule in rules():
        if rule.resource == GROUP:
            assert (rule.name, rule.pattern) == (rule.user, PREFIXED)
    assert not [(a, b) for a in READS for b in READS if a != b and a.startswith(b)]


def test_everybody_who_is_allowed_something_has_a_password() -> None:
    known = secure.users(Keys("t", "k", "p", "s", "o", "q"))
    assert {rule.user for rule in rules()} <= known.keys()
    assert len(set(known.values())) == len(known)
    assert {*FOLLOWERS} <= known.keys()
