"""Whoever follows a link gets somewhere, and every page can be found."""

from pathlib import Path

import pytest

from tests.pages import DOCS, PAGES, ROOT, anchors, links, name_of

EVERY_LINK = [
    pytest.param(page, link, id=f"{name_of(page)}: {link}")
    for page in PAGES
    for link in links(page)
    if not link.startswith("https://")
]


def reached_from(page: Path) -> set[Path]:
    targets = (link.partition("#")[0] for link in links(page) if "://" not in link)
    return {(page.parent / target).resolve() for target in targets if target}


@pytest.mark.parametrize(("page", "link"), EVERY_LINK)
def test_a_link_leads_somewhere(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    assert target.is_relative_to(ROOT)
    assert target.exists()
    if anchor:
        assert anchor in anchors(target)


def test_every_page_is_in_the_index() -> None:
    index = DOCS / "README.md"
    assert reached_from(index) >= {page for page in DOCS.rglob("*.md") if page != index}


def test_the_index_is_found_from_the_top() -> None:
    pages = {page for page in PAGES if page.parent == ROOT} | {DOCS / "README.md"}
    assert reached_from(ROOT / "README.md") >= pages - {ROOT / "README.md"}
