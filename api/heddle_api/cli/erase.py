"""Commands about images that must go: erase them, get the certificate, check one."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    connected,
    err,
    fail,
    find_place,
    out,
    show,
    table,
    tell,
)
from heddle_api.cli.waiting import waiting
from heddle_api.client import ApiError, ErasureInfo, HeddleClient
from heddle_infra.signing import SignedDocument
from heddle_infra.signing import verify as check_signature
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import InvalidInput
from heddle_platform.ids import derived_id

certificate_app = typer.Typer(no_args_is_help=True, help="Certificates: what was erased, signed by the platform.")
ErasureId = Annotated[str, typer.Argument(help="As `heddle erase` shows it: era_...")]


def erase(
    files: Annotated[list[str] | None, typer.Argument(help="Images, as labels.csv of the set names them.")] = None,
    data: Annotated[str | None, typer.Option(help="Labelled set of these files: id or name.")] = None,
    picture: Annotated[
        list[Path] | None, typer.Option(help="An image file of yours, erased wherever it was uploaded; repeat it.")
    ] = None,
    image: Annotated[list[str] | None, typer.Option(help="SHA-256 of an image file; repeat it.")] = None,
    reason: Annotated[str | None, typer.Option(help="For your own records.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Write the signed certificate to this file.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until all is gone.")] = True,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Erase images from labelled sets, latents, caches and every adapter that learnt from them. Cannot be undone.

    Example: `heddle erase --data spring 00012.png 00044.png --certificate erased.json`
    """
    if files and data is None:
        fail(f"{len(files)} file(s) are named and no labelled set; say which with --data")
    if certificate is not None and not wait:
        fail("there is no certificate before all is gone; leave --no-wait out")
    with connected(control_url, api_key, data_dir=data_dir) as client:
        images = [*(image or []), *(sha256_hex(file.read_bytes()) for file in picture or [])]
        items = [derived_id("itm", file) for file in files or []]
        found = client.erase(dataset=data, items=items, images=images, reason=reason)
        if wait:
            with waiting(_standing, quiet=as_json) as progress:
                found = client.wait_for_erasure(found.id, on_progress=progress)
    if certificate is not None and found.certificate is not None:
        certificate.write_text(json.dumps(found.certificate), encoding="utf-8")
    show(found.document(), as_json, lambda: _print(found, certificate))
    if found.status == "failed":
        raise typer.Exit(1)


@certificate_app.command()
def get(
    erasure: ErasureId,
    to: Annotated[Path, typer.Option("--out", help="File to write.")],
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write the certificate of an erasure to a file.

    Example: `heddle certificate get era_01jd8x4s5n7k2m3p4q5r6s7t8v --out erased.json`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.erasure(erasure)
        if found.certificate is None:
            fail(f"erasure {found.id} is {found.status}; it has a certificate once it is done")
        to.write_text(json.dumps(found.certificate), encoding="utf-8")
    out.print(f"Wrote {to}.")


@certificate_app.command("list")
def list_certificates(
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List erasures, newest first, and which of them have their certificate.

    Example: `heddle certificate list`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = [erasure.document() for erasure in client.erasures()]
    rows = [(one["id"], one["status"], "yes" if one["certificate"] else "not yet", one["created_at"]) for one in found]
    show(found, as_json, lambda: table(("id", "status", "certificate", "asked for"), rows))


@certificate_app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A certificate, or the erasure it stands in.", exists=True)],
    public_key: Annotated[
        str | None,
        typer.Option(help="64 hexadecimal digits, from where you trust them. Without it the control plane is asked."),
    ] = None,
    control_url: ControlUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Check that a certificate is the platform's, letter for letter. Exit code 1 if it is not. Needs no API key.

    Example: `heddle certificate verify erased.json`
    """
    signed = _certificate(file)
    try:
        document = check_signature(signed, public_key or _public_key(control_url, data_dir))
    except InvalidInput as error:
        err.print(f"[red]not valid:[/] {escape(error.message)}")
        raise typer.Exit(1) from None
    show(document, as_json, lambda: _print_certificate(document))


def _public_key(control_url: str | None, data_dir: Path) -> str:
    place = find_place(control_url, None, None, data_dir)
    try:
        with HeddleClient(place.control_url) as client:
            return client.signing_key()
    except ApiError as error:
        tell(error)
        raise typer.Exit(1) from None


def _standing(found: ErasureInfo) -> tuple[str, float | None]:
    return f"erasure {found.status}", None


def _certificate(file: Path) -> SignedDocument:
    try:
        found = json.loads(file.read_bytes())
        if isinstance(found, dict) and "certificate" in found:
            found = found["certificate"]
        return SignedDocument.model_validate(found)
    except (ValueError, ValidationError):
        fail(f"{file} is no certificate: a JSON document with document, algorithm, public_key and signature")


def _print_certificate(document: dict[str, Any]) -> None:
    out.print(f"[green]valid:[/] {document.get('kind')} of {document.get('at')}")
    if "erased" in document:
        _print_erased(document["erased"], document["adapters"])


def _print(found: ErasureInfo, certificate: Path | None) -> None:
    if found.error:
        out.print(f"[red]{found.id} failed:[/] {escape(str(found.error['message']))} [dim]({found.error['code']})[/]")
        return
    out.print(f"{found.id} is {found.status}")
    if found.erased:
        _print_erased(found.erased, found.adapters)
    if certificate is not None:
        out.print(f"Certificate: {certificate}. Check it with `heddle certificate verify {certificate}`.")


def _print_erased(erased: dict[str, int], adapters: Any) -> None:
    out.print(", ".join(f"{count} {what.replace('_', ' ')}" for what, count in erased.items()))
    rows = [
        (
            one["adapter"],
            ", ".join(str(version) for version in one["versions"]),
            one["replaced_by"],
            one["status"] or one["withdrawn"]["code"],
            one["rows_removed"],
            None if one["difference"] is None else f"{one['difference']:.1e}",
        )
        for one in adapters
    ]
    if rows:
        table(("adapter", "erased versions", "replaced by", "which is", "rows removed", "difference"), rows)
