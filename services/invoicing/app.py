"""Invoicing: from a request to its invoices. The table of what it takes and what it does on its own; the first page to read."""

from functools import partial
from pathlib import Path

from services.invoicing.credit_notes import store as credit_notes
from services.invoicing.invoice_files import effects
from services.invoicing.invoice_files import store as documents
from services.invoicing.invoice_files.rendering.renderer import Renderer
from services.invoicing.issuing import claims
from services.invoicing.quotas import store as quotas
from services.invoicing.requests import api, handlers
from services.invoicing.tax_platforms.adapters.http_json.client import HttpTaxPlatform, called_about
from services.invoicing.tax_platforms.port import TaxPlatform
from shared.contracts.ledger import BalanceReserved, ReservationImpaired, ReservationRefused
from shared.contracts.titles import AccountStatusChanged, MemberChanged, SealingKeyIssued, TitleChanged
from shared.domain.catalogue import Catalogue
from shared.runtime.objects import ObjectStore
from shared.runtime.sealing import Sealer
from shared.runtime.service import Service
from shared.runtime.settings import Settings
from shared.runtime.workers import Job, Worker

MIGRATIONS = Path(__file__).parent / "migrations"


def build(settings: Settings) -> Service:
    platform = HttpTaxPlatform(settings.tax_platform_url)
    renderer = Renderer()
    return invoicing(settings, platform, renderer, ObjectStore(settings.documents_url))


def invoicing(settings: Settings, platform: TaxPlatform, renderer: Renderer, objects: ObjectStore) -> Service:
    catalogue = Catalogue.load()
    secret = settings.tax_platform_secret.get_secret_value()
    unseal = Sealer.from_setting(settings.sealing_key.get_secret_value()).unseal
    return Service(
        "invoicing",
        MIGRATIONS,
        handlers={
            SealingKeyIssued: handlers.sealing_key_issued,
            AccountStatusChanged: handlers.account_status_changed,
            TitleChanged: handlers.title_changed,
            MemberChanged: handlers.member_changed,
            BalanceReserved: partial(handlers.balance_reserved, catalogue=catalogue),
            ReservationRefused: handlers.reservation_refused,
            ReservationImpaired: handlers.reservation_impaired,
        },
        workers=[
            Worker(
                "issue",
                claim=claims.claim_due,
                call=partial(effects.submit_or_query, platform=platform, unseal=unseal, catalogue=catalogue),
                outcome=handlers.platform_answered,
                concurrency=4,
            ),
            Worker(
                "credit",
                claim=credit_notes.claim_due,
                call=partial(effects.submit_or_query_red, platform=platform, catalogue=catalogue),
                outcome=handlers.red_answered,
                concurrency=2,
            ),
            Worker(
                "quotas",
                claim=quotas.claim_due,
                call=partial(effects.ask_quota, platform=platform, catalogue=catalogue),
                outcome=handlers.quota_told,
                concurrency=1,
                idle_seconds=1.0,
            ),
            Job("waiting", quotas.next_waiting, handlers.quota_looked_for, quotas.set_aside),
            Worker(
                "documents",
                claim=documents.claim_due,
                call=partial(
                    effects.make_documents, renderer=renderer, objects=objects, unseal=unseal, catalogue=catalogue
                ),
                outcome=handlers.documents_made,
                concurrency=2,
            ),
        ],
        routes=partial(api.routes, unseal=unseal, objects=objects, wait_seconds=settings.answer_wait_seconds),
        public_routes=partial(api.platform_routes, called_about=partial(called_about, secret=secret)),
        resources=[platform, renderer],
    )
