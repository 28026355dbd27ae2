from __future__ import annotations

import pytest
import yaml

from bot.yaml_lines import FASTEST, MOST_BYTES, MOST_DEPTH, read_yaml


def problems(text, parser=FASTEST):
    return [(problem.line, problem.message) for problem in read_yaml(text, parser)[1]]


# PyYAML with libyaml and without it: the same text has to be read in the same way.
either_parser = pytest.mark.parametrize("parser", [yaml.CSafeLoader, yaml.SafeLoader])


@either_parser
def test_text_is_read_as_plain_data_with_lines(parser):
    data, found = read_yaml("a: 1\nb:\n  - x\n  - {c: 0o7}\n  - yes\nd: '1'\n", parser)
    assert found == ()
    assert data == {"a": 1, "b": ["x", {"c": "0o7"}, True], "d": "1"}
    assert data.lines == {"a": 1, "b": 2, "d": 6}
    assert data["b"].lines == {0: 3, 1: 4, 2: 5}
    assert data["b"].raw == {2: "yes"}
    assert data.raw == {"a": "1"}


@either_parser
def test_a_byte_order_mark_is_no_part_of_the_text(parser):
    assert read_yaml("\ufeffa: b\n", parser) == ({"a": "b"}, ())


@either_parser
def test_anchors_aliases_and_merged_keys_are_read(parser):
    data, found = read_yaml(
        "x: &x {k: v, l: 1}\ny: *x\nz:\n  <<: *x\n  k: w\nq: {<<: [*x, *x]}\n", parser
    )
    assert found == ()
    assert data["y"] == {"k": "v", "l": 1}
    assert data["z"] == {"k": "w", "l": 1}
    assert data["z"].lines == {"k": 5, "l": 1}
    assert data["z"].raw == {"l": "1"}
    assert data["q"] == {"k": "v", "l": 1}


@either_parser
@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "The file is empty"),
        ("\n# only a comment\n", 1, "The file is empty"),
        ("- a\n", 1, "no mapping of keys"),
        ("\nword\n", 2, "no mapping of keys"),
        ("a: b\n---\nc: d\n", 2, "A second document"),
        ("a: b\na: c\n", 2, "The key `a` stands twice here, first at line 1"),
        ("a:\n  b: 1\n  b: 2\n", 3, "The key `b` stands twice here, first at line 2"),
        ("a: b\n1: c\n", 2, "The key `1` is not text"),
        ("on: c\n", 1, "The key `on` is not text"),
        ("a: b\n? [x]\n: c\n", 2, "is not text"),
        ("a:\n", 1, "`a` has no value"),
        ("a: ~\n", 1, "`a` has no value"),
        ("a:\n  - b\n  -\n", 3, "This item is empty"),
        ("a: *x\n", 1, "`*x` refers to nothing"),
        ("a: &x [*x]\n", 1, "`*x` refers to nothing"),
        ("a: b\nc: {<<: d}\n", 2, "`<<` takes in the keys of a mapping"),
        ("a: !!python/object/apply:os.system [id]\n", 1, "tag"),
        ("a: !mine b\n", 1, "The tag `!mine`"),
        ("a: !!binary aGk=\n", 1, "tag"),
        ("a:\n\t- b\n", 2, "This is no valid YAML"),
        ("a: [b\n", 2, "This is no valid YAML"),
        ("a: b\n  c: d\n", 2, "This is no valid YAML"),
        ("a: \x07\n", 1, "This is no valid YAML"),
    ],
)
def test_what_is_wrong_with_the_text_is_found_with_its_line(parser, text, line, says):
    ((where, message),) = problems(text, parser)
    assert where == line
    assert says in message


def test_a_tab_is_named_as_what_it_is():
    (_, (problem,)) = read_yaml("a:\n\t- b\n")
    assert "replace the tab" in problem.remedy


def test_text_that_is_no_unicode_is_a_problem():
    assert read_yaml("a: \ud800\n")[0] is None
    assert problems("a: \ud800\n")


def test_nothing_but_text_numbers_and_truth_comes_out():
    data, found = read_yaml("a: 2024-01-01\nb: 1:30\nc: 1.5\nd: 0123\ne: =\nf: 0b1\n")
    assert found == ()
    assert data["a"] == "2024-01-01"
    assert data["e"] == "="
    assert {type(value) for value in data.values()} <= {str, int, float, bool}


@pytest.mark.parametrize("opened", ["[", "{a: ", "- "])
def test_a_text_nested_too_deep_is_refused_before_it_is_built(opened):
    assert problems(opened * 100_000)[0][1] == f"The file is nested more than {MOST_DEPTH} deep."


def test_the_bound_of_nesting_is_exact():
    def nested(depth):  # the mapping around it is one level, and what is inside another
        return "a: " + "[" * (depth - 2) + "x" + "]" * (depth - 2)

    assert problems(nested(MOST_DEPTH)) == []
    assert problems(nested(MOST_DEPTH + 1)) != []


def test_aliases_do_not_nest_deeper_than_the_bound():
    deep = "a: &a " + "[" * 12 + "x" + "]" * 12 + "\n"
    assert problems(deep + "b: *a\n") == []
    assert "nested" in problems(deep + "b: " + "[" * 12 + "*a" + "]" * 12 + "\n")[0][1]


def test_a_few_lines_of_aliases_cannot_stand_for_billions_of_values():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    ((line, message),) = problems("\n".join(lines))
    assert "300,000 values" in message
    assert line < 12


def test_a_file_over_the_bound_is_not_read():
    assert "bytes" in problems("# " + "x" * MOST_BYTES)[0][1]
