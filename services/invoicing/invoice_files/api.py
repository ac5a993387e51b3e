"""The files of an account's invoices, blue and red, over HTTP."""

import asyncio

from fastapi import APIRouter, Response

from services.invoicing.accounts.problems import not_found
from services.invoicing.invoice_files import store
from shared.contracts.http.paging import FileForm
from shared.contracts.message import AccountId, Number
from shared.runtime.objects import ObjectStore
from shared.runtime.service import Runtime

GET_SECONDS = 10.0


def routes(runtime: Runtime, *, objects: ObjectStore) -> APIRouter:
    router = APIRouter()

    @router.get("/invoices/{number}/files/{file_format}")
    async def get_file(account_id: AccountId, number: Number, file_format: FileForm) -> Response:
        name = f"{number}.{file_format}"
        async with runtime.read(account_id) as db:
            row = await store.file(db, account_id, number, name)
        if row is None:
            raise not_found("file", name)
        content = await asyncio.wait_for(objects.get(row["object_key"]), timeout=GET_SECONDS)
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=row["media_type"], headers=headers)

    return router
