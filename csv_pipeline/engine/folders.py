"""Which folders of the landing areas are an account's, though they do not have its name."""

from collections.abc import Sequence

from csv_pipeline.account import account_slug
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.storage import folders


def set_folders(
    pipeline: Pipeline, account: str, new: Sequence[str], gone: Sequence[str], by: str
) -> list[str]:
    """Let folders be an account's, and others no more; return all that are besides its own.

    Files that arrived before are where they were: they stay with the account they arrived for.

    Raises:
        SetupError: What is given is no name of a folder, or is the account's own, or another's.
    """
    name = account_slug(account)
    with pipeline.database.begin() as connection:
        held = folders.find(connection)
        for folder in new:
            if not folder or "/" in folder or folder.startswith((".", "~")):
                raise SetupError(f"folder {folder!r}: the name of a folder was needed, and no path")
            if (whose := held.get(folder, name)) != name:
                raise SetupError(
                    f"folder {folder!r}: one that is of no account was needed; it is of {whose!r} "
                    f"(csv-pipeline account {whose} --no-folder ends that)"
                )
            if folder != name:
                folders.declare(connection, folder, name, by)
        for folder in gone:
            if not folders.forget(connection, folder, name):
                raise SetupError(f"folder {folder!r}: a folder of {name!r} was needed; it is none")
        return [folder for folder, whose in folders.find(connection).items() if whose == name]
