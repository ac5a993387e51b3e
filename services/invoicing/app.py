"""Invoicing: from a request to its invoices. The table of what it takes and what it does on its own; the first page to read."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from fastapi import APIRouter

from services.invoicing.accounts import handlers as accounts
from services.invoicing.accounts.rules import Keys
from services.invoicing.credit_notes import api as credit_note_routes
from services.invoicing.credit_notes import claims as credit_note_claims
from services.invoicing.credit_notes import effects as credit_note_effects
from services.invoicing.credit_notes import handlers as credit_notes
from services.invoicing.credit_notes.store import CREDIT_NOTES
from services.invoicing.erasures import handlers as erasures
from services.invoicing.erasures import store as erasure_rows
from services.invoicing.invoice_files import api as file_routes
from services.invoicing.invoice_files import effects as file_effects
from services.invoicing.invoice_files import handlers as invoice_files
from services.invoicing.invoice_files import store as file_rows
from services.invoicing.invoice_files.rendering.renderer import Renderer
from services.invoicing.issuing import api as invoice_routes
from services.invoicing.issuing import claims as part_claims
from services.invoicing.issuing import effects as part_effects
from services.invoicing.issuing import handlers as issuing
from services.invoicing.issuing import pages as invoice_pages
from services.invoicing.issuing import store as part_rows
from services.invoicing.issuing.store import PARTS
from services.invoicing.quotas import effects as quota_effects
from services.invoicing.quotas import store as quota_rows
from services.invoicing.requests import api as request_routes
from services.invoicing.requests import handlers as requests
from services.invoicing.submissions import api as callback_routes
from services.invoicing.submissions.store import SubmissionTable
from services.invoicing.tax_platforms.adapters.http_json.callbacks import called_about
from services.invoicing.tax_platforms.adapters.http_json.client import HttpJsonPlatform
from services.invoicing.tax_platforms.routing import Platforms
from shared.contracts.ledger import BalanceReserved, ReservationImpaired, ReservationRefused
from shared.contracts.titles import (
    AccountErased,
    AccountErasureStarted,
    AccountStatusChanged,
    MemberChanged,
    TitleChanged,
)
from shared.domain.catalogue import Catalogue
from shared.domain.identifiers import Kind
from shared.runtime import parked
from shared.runtime.account_keys import AccountKeys
from shared.runtime.objects import ObjectStore
from shared.runtime.retention import Kept
from shared.runtime.security import tax_platform_security
from shared.runtime.service import Runtime, Service
from shared.runtime.settings import Settings
from shared.runtime.workers import Job, Worker

MIGRATIONS = Path(__file__).parent / "migrations"
SUBMITTED: Mapping[Kind, SubmissionTable] = {"B": PARTS, "R": CREDIT_NOTES}
"""Whatever is sent to a tax platform, by the kind of its serial: blue or red."""
PARTS_WAIT = "SELECT count(*), min(r.created_at) FROM part p JOIN request r USING (account_id, request_id) WHERE"
NOTES_WAIT = "SELECT count(*), min(created_at) FROM credit_note WHERE"
QUEUES = {
    "parts": f"{PARTS_WAIT} p.status IN ('queued', 'submitting')",
    "parts_waiting_for_quota": f"{PARTS_WAIT} p.status = 'waiting_quota'",
    "credit_notes": f"{NOTES_WAIT} status = 'requested'",
    "red_forms": f"{NOTES_WAIT} status = 'form_pending'",
    "invoice_files": """
        SELECT count(*), min(coalesce(n.issued_at, p.issued_at)) FROM invoice_file_job j JOIN part p USING (account_id, part_id)
            LEFT JOIN credit_note n USING (account_id, credit_note_id)
        WHERE j.status = 'due'
    """,
}
"""What waits, and since when: since it was asked for, or issued."""


def build(settings: Settings) -> Service:
    usual = HttpJsonPlatform(settings.tax_platform_url, security=tax_platform_security(settings))
    platforms = Platforms(usual=usual, by_legal_entity={})
    keys = AccountKeys(settings)
    made = invoicing(settings, platforms, Renderer(), ObjectStore(settings.documents_url), keys)
    return replace(made, resources=[*made.resources, keys])


def invoicing(
    settings: Settings, platforms: Platforms, renderer: Renderer, objects: ObjectStore, keys: Keys
) -> Service:
    catalogue = Catalogue.load()
    secret = settings.tax_platform_secret.get_secret_value()
    wait_seconds = settings.answer_wait_seconds

    def routes(runtime: Runtime) -> APIRouter:
        """What the gateway may ask. Every route is about one account, which the gateway took from the caller's key."""
        router = APIRouter(prefix="/accounts/{account_id}")
        for room in (
            credit_note_routes.routes(runtime, wait_seconds=wait_seconds),
            request_routes.routes(
                runtime,
                keys=keys,
                wait_seconds=wait_seconds,
                cancel_request=issuing.cancel_request,
                invoices=invoice_pages.parts_of_request,
            ),
            invoice_routes.routes(runtime),
            file_routes.routes(runtime, objects=objects),
        ):
            router.include_router(room)
        return router

    return Service(
        "invoicing",
        MIGRATIONS,
        handlers={
            AccountStatusChanged: accounts.account_status_changed,
            TitleChanged: accounts.title_changed,
            MemberChanged: accounts.member_changed,
            AccountErasureStarted: erasures.account_erasure_started,
            AccountErased: partial(erasures.account_erased, forget=parked.forget),
            BalanceReserved: partial(issuing.balance_reserved, catalogue=catalogue),
            ReservationRefused: requests.reservation_refused,
            ReservationImpaired: issuing.reservation_impaired,
        },
        workers=[
            Worker(
                "issue",
                claim=part_claims.claim_due,
                call=partial(part_effects.issue, platforms=platforms, keys=keys, catalogue=catalogue),
                outcome=issuing.part_answered,
                concurrency=4,
            ),
            Worker(
                "credit",
                claim=credit_note_claims.claim_due,
                call=partial(credit_note_effects.credit, platforms=platforms, catalogue=catalogue),
                outcome=credit_notes.credit_note_answered,
                concurrency=2,
            ),
            Worker(
                "quotas",
                claim=quota_rows.claim_due,
                call=partial(quota_effects.ask_quota, platforms=platforms, catalogue=catalogue),
                outcome=issuing.quota_answered,
                concurrency=1,
                idle_seconds=1.0,
            ),
            Job("erasures", erasure_rows.next_step, erasures.erasure_looked_at, idle_seconds=1.0),
            Job("waiting", part_rows.next_waiting, issuing.quota_looked_for, part_rows.set_aside),
            Worker(
                "files",
                claim=file_rows.claim_due,
                call=partial(
                    file_effects.make_files, renderer=renderer, objects=objects, keys=keys, catalogue=catalogue
                ),
                outcome=invoice_files.files_answered,
                concurrency=2,
            ),
        ],
        queues=QUEUES,
        kept=[Kept("idempotency", "created_at", settings.idempotency_days)],
        routes=routes,
        callback_routes=partial(
            callback_routes.routes,
            called_about=partial(called_about, secret=secret, window_seconds=settings.callback_window_seconds),
            tables=SUBMITTED,
        ),
        resources=[*platforms.each(), renderer],
    )
