"""Whether the files of an account are of one seller, where it does not declare whose they are."""

from collections.abc import Sequence

from sqlalchemy import Connection

from csv_pipeline.account import Account
from csv_pipeline.engine.importer import Import
from csv_pipeline.errors import ContradictionError
from csv_pipeline.spec.feed import SELLER
from csv_pipeline.storage import imports


def other_seller(connection: Connection, of: Sequence[Import]) -> ContradictionError | None:
    """Return why the first file is refused that names another seller than those before it.

    What an account declares was held against the file by its feed; a file may name no seller.
    """
    known: tuple[str, str] | None = None
    for import_ in of:
        named = None if import_.account.seller_id else _named(import_)
        if named is None:
            continue
        if known is None:
            known = imports.last_seller(connection, import_.claim)
        if known is not None and known[0].casefold() != named.casefold():
            return _refusal(import_, named, *known)
        known = named, f"import {import_.claim.import_id}"
    return None


def _named(import_: Import) -> str | None:
    typed = import_.workspace.typed
    found = (one for one in (typed.evidence if typed else ()) if one.subject == SELLER)
    return next((one.decision for one in found if one.proven), None)


def _refusal(import_: Import, named: str, seller: str, brought_by: str) -> ContradictionError:
    account = Account(account=import_.claim.account).setting("seller_id")
    return ContradictionError(
        import_.claim.name,
        f"a file of the seller {seller!r} was needed, whose rows {brought_by} stored for account "
        f"{import_.claim.account!r}, which declares no seller",
        f"it names {named!r}; if the account is of both: {account.declare(f'{seller},{named}')}; "
        f"if only of this one: undo what is of the other, and {account.declare(named)}",
    )
