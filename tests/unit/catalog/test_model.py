from refresher.catalog.model import Source, Target
from refresher.names import RelationName


def source(oid: int, *, lockable: bool, storages: tuple[int, ...]) -> Source:
    return Source(
        oid=oid, relation=RelationName("public", f"s{oid}"), lockable=lockable, storages=storages
    )


def test_what_can_be_locked_needs_no_watching() -> None:
    target = Target(
        oid=1,
        relation=RelationName("public", "v"),
        relation_kind="m",
        populated=True,
        unique_index=None,
        sources=(
            source(2, lockable=True, storages=(2,)),
            source(3, lockable=False, storages=(31, 32)),
            source(4, lockable=False, storages=(4,)),
        ),
    )

    assert target.unlockable_storages == (31, 32, 4)
