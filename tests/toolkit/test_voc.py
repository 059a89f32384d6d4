"""VOC's XML and its 1-based, inclusive pixels: what is read is what was written, and what is hostile is refused."""

import tracemalloc
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import BadInput
from toolkit.voc import (
    MAX_DEPTH,
    MAX_IDS,
    Annotation,
    Box,
    Object,
    Tree,
    parse,
    read_ids,
    render,
    safe_id,
    with_boxes,
    write_ids,
)

PERSON = b"""<annotation>
\t<folder>VOC2012</folder>
\t<filename>a.jpg</filename>
\t<source><database>The VOC2007 Database</database></source>
\t<size>
\t\t<width>60</width>
\t\t<height>40</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>1</segmented>
\t<object>
\t\t<name>person</name>
\t\t<pose>Frontal</pose>
\t\t<truncated>1</truncated>
\t\t<difficult>0</difficult>
\t\t<part>
\t\t\t<name>head</name>
\t\t\t<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>5</xmax><ymax>6</ymax></bndbox>
\t\t</part>
\t\t<bndbox>
\t\t\t<xmax>10</xmax>
\t\t\t<xmin>1</xmin>
\t\t\t<ymax>20.5</ymax>
\t\t\t<ymin>2</ymin>
\t\t</bndbox>
\t</object>
\t<object>
\t\t<name>dog</name>
\t\t<bndbox><xmin>11</xmin><ymin>12</ymin><xmax>31</xmax><ymax>32</ymax></bndbox>
\t\t<difficult>1</difficult>
\t</object>
</annotation>
"""
PERSON_BOX = (0.0, 1.0, 10.0, 20.5)
DOG_BOX = (10.0, 11.0, 31.0, 32.0)

names = st.text("abcdefghijklmnopqrstuvwxyz <>&'\"é犬", min_size=1).map(str.strip).filter(bool)
boxes = st.tuples(*[st.integers(0, 4000).map(float)] * 4)
annotations = st.builds(
    Annotation,
    filename=names,
    width=st.integers(1, 10_000),
    height=st.integers(1, 10_000),
    objects=st.lists(st.builds(Object, names, boxes, st.booleans(), st.booleans()), max_size=4).map(tuple),
)
few = settings(max_examples=40, deadline=None)


def box_xml(xmin: object, ymin: object, xmax: object, ymax: object) -> bytes:
    """An annotation of one object with these numbers in its tags."""
    box = f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"
    return (
        "<annotation><filename>a.jpg</filename><size><width>60</width><height>40</height></size>"
        f"<object><name>dog</name><bndbox>{box}</bndbox></object></annotation>"
    ).encode()


def test_the_first_ten_pixels_are_0_to_10() -> None:
    (dog,) = parse(box_xml(1, 1, 10, 10), "a.xml").objects
    assert dog.box == (0, 0, 10, 10)


@few
@given(boxes)
def test_boxes_are_shifted_by_exactly_one_pixel_at_their_start(box: Box) -> None:
    xmin, ymin, xmax, ymax = map(int, box)
    (dog,) = parse(box_xml(xmin, ymin, xmax, ymax), "a.xml").objects
    assert dog.box == (xmin - 1, ymin - 1, xmax, ymax)


@few
@given(annotations)
def test_parse_reads_what_render_wrote(annotation: Annotation) -> None:
    assert parse(render(annotation), "a.xml") == annotation


@few
@given(st.tuples(*[st.floats(0, 4000)] * 4))
def test_boxes_between_pixels_come_back_within_a_millionth_pixel(box: Box) -> None:
    (dog,) = parse(render(Annotation("a.jpg", 60, 40, (Object("dog", box),))), "a.xml").objects
    assert dog.box == pytest.approx(box, abs=1e-6)


def test_whole_coordinates_are_written_as_whole_numbers() -> None:
    xml = render(Annotation("a.jpg", 60, 40, (Object("dog", (0.0, 1.0, 10.0, 20.5)),)))
    assert b"<xmin>1</xmin>" in xml and b"<xmax>10</xmax>" in xml and b"<ymax>20.5</ymax>" in xml


def test_parse_reads_every_field_and_takes_no_part_for_an_object() -> None:
    person = Object("person", PERSON_BOX, difficult=False, truncated=True)
    dog = Object("dog", DOG_BOX, difficult=True, truncated=False)
    assert parse(PERSON, "a.xml") == Annotation("a.jpg", 60, 40, (person, dog))


def test_unchanged_boxes_keep_every_byte() -> None:
    assert with_boxes(PERSON, [PERSON_BOX, DOG_BOX]) == PERSON


def leaves(xml: bytes) -> list[tuple[str, str]]:
    """Every tag without children and its text, in order."""
    return [(node.tag, node.text or "") for node in ElementTree.fromstring(xml).iter() if not len(node)]


def test_a_changed_box_changes_its_own_numbers_alone() -> None:
    changed = with_boxes(PERSON, [PERSON_BOX, (1.0, 2.0, 33.0, 34.0)])
    new = {"xmin": "2", "ymin": "3", "xmax": "33", "ymax": "34"}
    was = leaves(PERSON)
    dog = was.index(("name", "dog"))
    assert leaves(changed) == was[:dog] + [(tag, new.get(tag, text)) for tag, text in was[dog:]]


def test_an_object_whose_box_moves_loses_its_parts_whose_boxes_did_not() -> None:
    changed = with_boxes(PERSON, [(1.0, 2.0, 3.0, 4.0), DOG_BOX])
    assert b"<part>" not in changed
    assert [o.box for o in parse(changed, "a.xml").objects] == [(1, 2, 3, 4), DOG_BOX]
    assert ("pose", "Frontal") in leaves(changed)


def test_an_object_without_box_is_taken_out() -> None:
    changed = parse(with_boxes(PERSON, [None, DOG_BOX]), "a.xml")
    assert changed.objects == parse(PERSON, "a.xml").objects[1:]
    assert parse(with_boxes(PERSON, [None, None]), "a.xml").objects == ()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_box_too_many_or_too_few_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match="zip"):
        with_boxes(PERSON, [DOG_BOX] * count)


BOMB = b'<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><annotation><filename>&b;</filename></annotation>'
OUTSIDE = b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotation><filename>&a;</filename></annotation>'


@pytest.mark.parametrize(
    ("xml", "fault"),
    [
        (BOMB, "refuses"),
        (OUTSIDE, "refuses"),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><annotation/>', "refuses"),
        (b"", "is not XML"),
        (b"\xff\xd8\xff\xe0 a JPEG", "is not XML"),
        (PERSON[: len(PERSON) // 2], "is not XML"),
        (PERSON.replace(b"</part>", b"<a>" * 100_000 + b"</a>" * 100_000 + b"</part>"), "nested more than"),
        (b"<a>" * 100_000, "nested more than"),
        (b"<annotation/>", "<filename> is missing"),
        (PERSON.replace(b"<width>60</width>", b""), "<size/width> is missing"),
        (PERSON.replace(b"<width>60</width>", b"<width>wide</width>"), "wide"),
        (PERSON.replace(b"<name>dog</name>", b"<name> </name>"), "<name> is empty"),
        (PERSON.replace(b"<xmin>11</xmin>", b""), "<bndbox/xmin> is missing"),
        (PERSON.replace(b"<xmin>11</xmin>", b"<xmin>left</xmin>"), "left"),
    ],
)
def test_what_is_no_voc_annotation_is_refused_by_name(xml: bytes, fault: str) -> None:
    with pytest.raises(BadInput) as error:
        parse(xml, "tree/Annotations/a.xml")
    (problem,) = error.value.problems
    assert problem.file == "tree/Annotations/a.xml"
    assert fault in problem.fault


def test_nesting_takes_no_memory_beyond_where_it_is_refused() -> None:
    deep = b"<a>" * 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(BadInput):
            parse(deep, "a.xml")
        assert tracemalloc.get_traced_memory()[1] < 2 * len(deep)
    finally:
        tracemalloc.stop()


def test_what_is_nested_as_deep_as_may_be_can_be_written_again() -> None:
    inner = MAX_DEPTH - 2  # inside <annotation> and <object>
    xml = PERSON.replace(b"</object>", b"<a>" * inner + b"</a>" * inner + b"</object>", 1)
    assert parse(with_boxes(xml, [DOG_BOX, PERSON_BOX]), "a.xml").objects[0].box == DOG_BOX
    with pytest.raises(BadInput, match="nested"):
        parse(xml.replace(b"<a></a>", b"<a><a></a></a>"), "a.xml")


def test_a_person_with_parts_but_without_its_own_box_is_refused() -> None:
    start, end = PERSON.index(b"\t\t<bndbox>\n"), PERSON.index(b"\t</object>")
    with pytest.raises(BadInput, match="<bndbox/xmin> is missing"):
        parse(PERSON[:start] + PERSON[end:], "a.xml")


@pytest.mark.parametrize("image_id", ["2007_000027", "a", "IMG 1.2-x", "übung"])
def test_plain_names_are_safe_ids(image_id: str) -> None:
    assert safe_id(image_id)


@pytest.mark.parametrize(
    "image_id", ["", ".", "..", ".hidden", "../x", "a/b", "/etc/passwd", "a\\b", "a\n", "a\0", "C:x"]
)
def test_what_could_leave_its_folder_is_no_safe_id(image_id: str) -> None:
    assert not safe_id(image_id)


def test_ids_are_the_first_column_in_file_order(tmp_path: Path) -> None:
    (tmp_path / "dog_train.txt").write_text("b -1\r\n\na  1\nc\n")
    assert read_ids(tmp_path / "dog_train.txt") == ["b", "a", "c"]


def test_ids_come_back_as_written(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    write_ids(tree.split("train"), ["b", "a"])
    write_ids(tree.split("test"), ["c", "a"])
    assert tree.splits() == {"test": ["c", "a"], "train": ["b", "a"]}
    assert tree.all_ids() == ["a", "b", "c"]


def test_a_byte_order_mark_is_no_part_of_the_first_id(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\r\n")
    assert read_ids(tmp_path / "train.txt") == ["a", "b"]


def test_a_split_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    with path.open("wb") as file:
        file.truncate(MAX_IDS + 1)
    with pytest.raises(BadInput, match=f"more than {MAX_IDS} bytes"):
        read_ids(path)


@pytest.mark.parametrize(("data", "fault"), [(None, "does not exist"), (b"\xff\xfe\x00", "is not UTF-8 text")])
def test_a_split_that_cannot_be_read_is_named(tmp_path: Path, data: bytes | None, fault: str) -> None:
    path = tmp_path / "train.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BadInput, match=fault) as error:
        read_ids(path)
    assert error.value.problems[0].file == str(path)


def test_real_annotations_keep_every_byte_and_follow_a_change(real: Path) -> None:
    tree = Tree(real / "voc2012_mini")
    for image_id in tree.all_ids()[::3]:
        xml = tree.annotation(image_id).read_bytes()
        boxes = [o.box for o in parse(xml, image_id).objects]
        assert with_boxes(xml, boxes) == xml
        moved = [(x0 + 1, y0, x1 + 1, y1) for x0, y0, x1, y1 in boxes]
        assert [o.box for o in parse(with_boxes(xml, moved), image_id).objects] == moved
