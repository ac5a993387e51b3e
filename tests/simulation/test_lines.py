"""Every line of the runtime that is about messages is executed by a few seeds, or by the test that is named for it."""

from functools import cache
from pathlib import Path

import pytest
import structlog

from tests.simulation.lines import RUNTIME, Lines, Place, files, functions_of, lines_of
from tests.simulation.run import Simulation
from tests.support.databases import Databases
from tests.support.source import ROOT

SEEDS = (30, 25, 64, 11, 35)
"""Chosen so that together they come by every line."""

NOT_ABOUT_MESSAGES = {
    "kafka.py": "the client of a broker: tests/contract",
    "kafka_reader.py": "the client of a broker: tests/contract",
    "kafka_records.py": "the client of a broker: tests/contract",
    "partitions.py": "days of the outbox, which its owner tends: tests/integration/runtime/test_partitions.py",
    "clock.py": "the clock of a machine, in whose place the simulation has its own",
    "shared_clock.py": "the test clock",
    "admission.py": "HTTP",
    "dependencies.py": "HTTP",
    "http_metrics.py": "HTTP",
    "listening.py": "HTTP",
    "operations.py": "HTTP",
    "parked_pages.py": "HTTP",
    "problems.py": "HTTP",
    "security.py": "TLS and logins",
    "web.py": "HTTP",
    "database.py": "connections: tests/integration/runtime/test_database.py",
    "dsn.py": "addresses",
    "migrations.py": "schemas",
    "roles.py": "rights",
    "health.py": "what is told of a process",
    "metrics.py": "what is told of a process",
    "queues.py": "what is told of a process",
    "logs.py": "what is told of a process",
    "tracing.py": "what is told of a process",
    "heap.py": "a process and its memory",
    "main.py": "a process, from its start to its end",
    "watchdog.py": "a process that hangs",
    "production.py": "settings",
    "programs.py": "settings",
    "settings.py": "settings",
    "objects.py": "files",
    "sealing.py": "personal values",
    "account_keys.py": "personal values: tests/integration/runtime/test_account_keys.py",
    "replicas.py": "addresses",
    "retention.py": "what leaves: tests/integration/runtime/test_retention.py",
    "purposes.py": "connections",
    "calls.py": "what is told of calls to the outside: tests/integration/runtime/test_observing.py",
}

LAST_RESORT, LIFE = "tests/unit/runtime/test_last_resort.py", "tests/integration/runtime/test_life.py"
BROKEN = f"{LAST_RESORT}::test_a_record_that_breaks_the_reader_is_unreadable_and_tells_nothing_of_itself"
BROKEN_CONTRACT = f"{LAST_RESORT}::test_a_contract_that_fails_by_itself_makes_a_record_unreadable"
SLOW_BROKER = "tests/integration/runtime/test_relay.py::test_a_lease_is_kept_while_a_broker_takes_its_time"
TOLD = f"{LAST_RESORT}::test_each_commit_of_the_work_inside_is_told_and_none_after_it"
WAITING, IN_VAIN, STARTS = (
    f"{LIFE}::test_who_waits_is_woken_by_the_answer_of_whoever_gives_it",
    f"{LIFE}::test_who_waits_in_vain_looks_a_last_time",
    f"{LIFE}::test_a_task_that_ends_is_noticed",
)
ENDS = "tests/integration/runtime/test_workers.py::test_a_worker_that_does_not_end_is_not_waited_for"

ENVELOPE, FAULTS = "tests/unit/runtime/test_envelope.py", "tests/simulation/test_faults.py"
ATTRIBUTES = f"{ENVELOPE}::test_attributes_are_what_cloudevents_and_our_contract_say"
TOO_LARGE = "tests/integration/runtime/test_handling.py::test_an_answer_that_no_broker_would_take_parks_its_cause_and_blocks_nothing"
ASIDE = "tests/integration/runtime/test_workers.py::test_a_row_whose_job_fails_is_set_aside_and_the_others_go_on"
SET_ASIDE = (
    'log.error("set_aside", worker=self.worker.name, seconds=SET_ASIDE_SECONDS, **ids_in(claimed))',
    "SET_ASIDE.labels(self.worker.name).inc()",
    "with contextlib.suppress(*TRANSIENT_ERRORS):",
    "async with self._database.transaction() as db:",
    "until = await self._clock.lease_time(db) + timedelta(seconds=SET_ASIDE_SECONDS)",
    "await self.worker.set_aside(claimed, db, until)",
)

PARKED_PLAIN = (
    'log.error("parked_plain", consumer=self.name, offset=entry.record.offset, error=blame.name_of(error))',
    "entry.plain = True",
    "entry.give_up(Unreadable(why.reason, plain(why.text)))",
    "await self._retried(lambda: self._settle(entry, exhausted))",
)
PLACES, READING = "tests/integration/runtime/test_places.py", "tests/unit/runtime/test_reading.py"
WENT_BACK = f"{PLACES}::test_it_is_noticed_also_where_nothing_new_arrives"
FURTHER = (
    'place = f"{partition.topic}/{partition.number}"',
    'self.went_back = f"the database of {self._consumer} went back: {place} is at {found}, and was at {at}"',
    "raise WentBack(self.went_back)",
)
RETENTION, NOT_FROM_THERE = (
    "tests/integration/runtime/test_retention.py",
    "test_reading_does_not_start_where_it_is_forgotten_and_starts_behind_it",
)
STARTS_TOO_EARLY = (
    "raise LogDiffers(",
    'f"{consumer} would read {part.partition} again from {start}, and what took effect up to {through} is forgotten: "',
)
SEALED = "tests/integration/runtime/test_parking.py::test_rows_in_clear_are_sealed_and_those_of_an_old_key_anew"
PARKING = ("Parking.current_id", "seal_the_rest", "_resealed", "_not_sealed_now", "_keep", "_in_clear")
ERASURE = "tests/stories/test_erasure.py"
FORGOTTEN = "test_parked_records_of_the_account_are_forgotten_unless_they_are_open"

ELSEWHERE: dict[tuple[str, str], str] = {
    ("about.py", "about: except Exception:  # noqa: BLE001 - a record that is parked may be anything"): BROKEN,
    ("about.py", "about: return About()"): BROKEN,
    (
        "envelope.py",
        "read: except Exception as error:  # noqa: BLE001 - anything may come over a wire, and none of it may stop a partition",
    ): BROKEN,
    ("envelope.py", "read: return Unreadable("): BROKEN,
    (
        "envelope.py",
        'read: "UNREADABLE", f"reading it fails with {type(error).__name__}; publish the event again, correctly"',
    ): BROKEN,
    ("entries.py", "Reader.entry: except Exception as error:  # noqa: BLE001"): BROKEN_CONTRACT,
    (
        "entries.py",
        'Reader.entry: seen, message = Unreadable("UNREADABLE", f"understanding it fails with {type(error).__name__}"), None',
    ): BROKEN_CONTRACT,
    ("facts.py", 'ids_in: return {"row": source}'): f"{LAST_RESORT}::test_a_row_that_is_only_a_number_is_its_id",
    ("transport.py", "name_bytes: return name"): f"{LAST_RESORT}::test_a_name_that_came_as_bytes_stays_what_it_is",
    (
        "handling.py",
        "Consumer._carefully: raise NotDone  # somebody has taken counts away; nothing may be passed over for that",
    ): f"{LIFE}::test_a_record_whose_counts_are_taken_away_is_handed_back_and_never_passed_over",
    ("envelope.py", "_no_constant"): f"{ENVELOPE}::test_structured_content_is_json_too",
    ("envelope.py", '_checked: return Unreadable("BAD_ATTRIBUTE", "attribute `specversion` must be 1.0")'): ATTRIBUTES,
    ("envelope.py", "_checked: except ValueError as error:"): ATTRIBUTES,
    ("envelope.py", '_checked: return Unreadable("BAD_ATTRIBUTE", f"attribute `time`: {error}")'): ATTRIBUTES,
    (
        "envelope.py",
        '_short: return "blake2b:" + hashlib.blake2b(name.encode(), digest_size=32).hexdigest()',
    ): f"{ENVELOPE}::test_long_ids_and_sources_are_read_and_have_keys_of_their_own",
    (
        "handling.py",
        "Consumer._one_by_one: raise NotDone",
    ): f"{FAULTS}::test_a_batch_that_takes_too_long_one_by_one_comes_again",
    ("handling.py", "Consumer._park: raise"): f"{FAULTS}::test_a_record_that_cannot_even_be_parked_comes_again",
    (
        "handling.py",
        "Consumer._carefully: raise self._hand_back(error) from error",
    ): "tests/integration/runtime/test_blame.py::test_many_parked_in_a_row_for_reasons_nobody_knows_stop_the_consumer",
    (
        "outbox.py",
        'Outbox.write: text = f"the {type(message).__name__} it leads to has {len(record.value)} bytes, '
        'and the broker would never take it"',
    ): TOO_LARGE,
    ("outbox.py", 'Outbox.write: raise Unacceptable("ANSWER_TOO_LARGE", text)'): TOO_LARGE,
    (
        "reading.py",
        'message_of: return Unreadable("BREAKS_CONTRACT", text)',
    ): "tests/unit/runtime/test_reading.py::test_a_character_that_nothing_can_hold_is_named_with_its_field",
    **{("workers.py", f"JobRunner._set_aside: {line}"): ASIDE for line in SET_ASIDE},
    ("outbox.py", "Relay._send: with contextlib.suppress(*TRANSIENT_ERRORS):"): SLOW_BROKER,
    ("outbox.py", "Relay._send: await self._hold_lease()"): SLOW_BROKER,
    ("progress.py", "tells"): TOLD,
    ("progress.py", "committed: settled()"): TOLD,
    ("envelope.py", '_structured: return Unreadable("NOT_JSON", "`datacontenttype` must be application/json")'): (
        f"{ENVELOPE}::test_structured_content_is_json_too"
    ),
    **{
        ("handling.py", f"Consumer._park: {line}"): f"{FAULTS}::test_a_record_that_cannot_even_be_parked_comes_again"
        for line in PARKED_PLAIN
    },
    ("handling.py", "Consumer.look_back"): WENT_BACK,
    (
        "handling.py",
        "Consumer._one: raise",
    ): f"{PLACES}::test_who_stands_further_than_the_database_commits_nothing_and_ends",
    (
        "handling.py",
        "Consumer.redrive: entry.give_up(Unreadable(error.reason, plain(error.text)))",
    ): "tests/integration/runtime/test_bad_records.py::test_a_redrive_says_why_it_failed",
    **{("parking.py", function): SEALED for function in PARKING},
    ("parking.py", "Parking.open: return _in_clear(row, partition)"): SEALED,
    **{
        ("parking.py", f"Parking.shown: {line}"): f"{ERASURE}::{FORGOTTEN}"
        for line in (
            "except Unsealable:",
            'return Record(Partition(row["topic"], row["partition"]), row["offset"], None, None, ())',
        )
    },
    **{("parked.py", function): f"{ERASURE}::{FORGOTTEN}" for function in ("account_erased", "forget")},
    **{("places.py", f"Places.check: {line}"): WENT_BACK for line in FURTHER},
    **{("places.py", f"starts: {line}"): f"{RETENTION}::{NOT_FROM_THERE}" for line in STARTS_TOO_EARLY},
    ("reading.py", "message_of: except ValidationError as error:"): f"{READING}::test_nothing_is_converted",
    ("reading.py", 'message_of: return Unreadable("BREAKS_CONTRACT", fields(error))'): (
        f"{READING}::test_nothing_is_converted"
    ),
    ("reading.py", "_with_whole_numbers.whole: return float(text)"): f"{READING}::test_nothing_is_converted",
    ("reading.py", '_unwritable: return "the value is nested too deeply"'): (
        f"{READING}::test_depth_is_a_reason_and_no_end"
    ),
    ("service.py", "Runtime._look_back"): "tests/nemesis/test_nemesis.py::test_nothing_is_lost_doubled_or_stuck",
    ("service.py", "Runtime.went_back"): WENT_BACK,
    ("service.py", "Runtime.read"): WAITING,
    ("service.py", "Runtime.wait_for"): IN_VAIN,
    ("service.py", "Runtime._look"): WAITING,
    ("service.py", "_Answers.expect"): WAITING,
    ("service.py", "_Answers._listen"): WAITING,
    ("service.py", "_Answers._heard"): WAITING,
    ("service.py", "_Answers.close"): WAITING,
    ("service.py", "Runtime.start"): STARTS,
    ("service.py", "Runtime.spawn"): STARTS,
    ("service.py", "Runtime.failed_task"): STARTS,
    ("service.py", "Runtime.stop"): ENDS,
    ("service.py", "Runtime._stopping_workers"): ENDS,
    ("service.py", "_in_time"): ENDS,
    ("service.py", "_ended"): ENDS,
}
"""File, and a whole function or one line of one; and the test that executes it."""


@pytest.mark.database
@pytest.mark.timeout(900)
async def test_every_line_about_messages_is_executed(databases: Databases, tmp_path: Path) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    paths = files(frozenset(NOT_ABOUT_MESSAGES))
    lines = Lines(paths)
    for seed in SEEDS:
        with lines.watching():
            await Simulation(seed).run(databases, tmp_path)
    missing = {(path.name, line) for path in paths for line in lines_of(path)} - lines.executed
    assert (
        sorted(f"{name}:{line} {text_of((name, line))}" for name, line in missing if not elsewhere((name, line))) == []
    )


def test_what_is_not_executed_is_named_with_a_test_that_is_there() -> None:
    names = {path.name for path in files(frozenset())}
    assert {*NOT_ABOUT_MESSAGES} <= names
    for (name, text), test in ELSEWHERE.items():
        functions = functions_of(RUNTIME / name)
        known = {f"{function}: {text_of((name, line))}" for line, function in functions.items()}
        assert text in {*functions.values(), *known}, (name, text)
        path, _, function = test.partition("::")
        assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), test


def elsewhere(place: Place) -> bool:
    function = functions_of(RUNTIME / place[0]).get(place[1], "")
    return bool({(place[0], function), (place[0], f"{function}: {text_of(place)}")} & ELSEWHERE.keys())


def text_of(place: Place) -> str:
    name, line = place
    return _texts(name)[line - 1].strip()


@cache
def _texts(name: str) -> list[str]:
    return (RUNTIME / name).read_text(encoding="utf-8").splitlines()
