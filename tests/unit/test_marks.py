from refresher.store.touched import Mark, Marks

OPEN = Mark("open", "v", 7)
BEGUN = Mark("begun", "v", 7)
PAUSE = Mark("pause", "v", 1)
REQUEST = Mark("request", "v", 1)


def test_what_began_is_told_once_however_often_it_is_read() -> None:
    marks = Marks()
    assert marks.compare([REQUEST, BEGUN]) == {REQUEST, BEGUN}
    assert marks.compare([REQUEST, BEGUN]) == set()
    newer = REQUEST._replace(mark=2)
    assert marks.compare([newer, BEGUN]) == {newer}
    assert marks.compare([]) == set(), "what began long ago is not news again"


def test_what_lasts_is_told_when_it_comes_and_when_it_goes() -> None:
    marks = Marks()
    assert marks.compare([PAUSE]) == {PAUSE}
    assert marks.compare([PAUSE]) == set()
    assert marks.compare([]) == {PAUSE}
    assert marks.compare([]) == set()


def test_a_pause_that_is_made_longer_is_told() -> None:
    marks = Marks()
    marks.compare([PAUSE])
    assert marks.compare([PAUSE._replace(mark=2)]) == {PAUSE, PAUSE._replace(mark=2)}


def test_an_open_run_is_told_as_long_as_it_is_open_and_once_more() -> None:
    marks = Marks()
    assert marks.compare([OPEN, BEGUN]) == {OPEN, BEGUN}
    assert marks.compare([OPEN, BEGUN]) == {OPEN}
    assert marks.compare([BEGUN]) == {OPEN}
    assert marks.compare([BEGUN]) == set()


def test_a_row_that_is_committed_after_younger_ones_is_told() -> None:
    marks = Marks()
    marks.compare([Mark("begun", "b", 9)])
    late = Mark("begun", "a", 8)
    assert marks.compare([late, Mark("begun", "b", 9)]) == {late}


def test_the_catalog_is_told_when_it_has_changed() -> None:
    marks = Marks()
    catalog = Mark("catalog", None, 1)
    assert marks.compare([catalog]) == {catalog}
    assert marks.compare([catalog]) == set()
    assert catalog._replace(mark=2) in marks.compare([catalog._replace(mark=2)])
