"""The model card of a version, for people (Markdown, HTML) and for programs (JSON).

It is made from the manifest, and from what the registry knows beside it: the publisher whose signature the artifact
carries, the signatures of the people who took the version through its life, and who acknowledged its warnings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from service.domain.acknowledgement import Acknowledgement
from service.domain.signature import Signature
from service.registry.card_document import card_document
from service.registry.card_required import missing_fields
from service.registry.manifest import Manifest
from service.registry.page import page_html, page_markdown, page_plain


def card_json(
    manifest: Manifest,
    digest: str,
    signatures: Sequence[Signature] = (),
    publisher: str | None = None,
    acknowledgements: Sequence[Acknowledgement] = (),
) -> dict[str, Any]:
    """The card as a plain document: name, version, digest, status, who signed, and the sections people read.

    `missing_fields` are JSON pointers of what the manifest must say before the version is put to work.
    """
    page = card_document(manifest, digest, signatures, publisher, acknowledgements)
    return {
        "name": manifest.name,
        "version": manifest.version,
        "digest": digest,
        "status_claim": manifest.status_claim,
        "publisher": publisher,
        "signatures": [asdict(signature) for signature in signatures],
        "missing_fields": list(missing_fields(manifest)),
        "acknowledgements": [asdict(one) for one in acknowledgements],
        "title": page.title,
        "sections": page_plain(page),
    }


def card_markdown(
    manifest: Manifest,
    digest: str,
    signatures: Sequence[Signature] = (),
    publisher: str | None = None,
    acknowledgements: Sequence[Acknowledgement] = (),
) -> str:
    """The card as Markdown; text of the manifest is escaped and cannot become markup."""
    return page_markdown(card_document(manifest, digest, signatures, publisher, acknowledgements))


def card_html(
    manifest: Manifest,
    digest: str,
    signatures: Sequence[Signature] = (),
    publisher: str | None = None,
    acknowledgements: Sequence[Acknowledgement] = (),
) -> str:
    """The card as one self-contained HTML page with its figures, without scripts; text of the manifest is escaped."""
    return page_html(card_document(manifest, digest, signatures, publisher, acknowledgements))
