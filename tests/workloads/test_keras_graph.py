"""Which layers a layer reads, and the order in which they are computed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import SpecError
from app.workloads.keras_graph import Node, in_order, layer_name, reads
from tests.workloads.hostile.models import tensor


def node(name, *sources):
    kind = "Add" if sources else "Input"
    return Node(place=f"m.layers[{name}]", name=name, kind=kind, options={}, reads=sources)


def ends(output, entry="data"):
    return {"input_layers": [entry, 0, 0], "output_layers": [output, 0, 0]}


def call(*args, **kwargs):
    return [{"args": list(args), "kwargs": kwargs}]


A, B, C = tensor("a"), tensor("b"), tensor("c")


@pytest.mark.parametrize(
    ("calls", "apart", "names"),
    [
        (call(A), False, ("a",)),
        (call(A, training=False, mask=None), False, ("a",)),
        (call([A, B, A]), False, ("a", "b", "a")),
        (call(A, B), True, ("a", "b")),
        (call(A, B, C), True, ("a", "b", "c")),
        (call(query=B, value=A), True, ("b", "a")),
        (call(A, value=B, key=C), True, ("a", "b", "c")),
        (call(A, B, key=None, use_causal_mask=False, attention_mask=None), True, ("a", "b")),
    ],
)
def test_reads(calls, apart, names):
    assert reads("here", calls, apart=apart) == names


@pytest.mark.parametrize(
    ("calls", "apart"),
    [
        (None, False),
        ([], False),
        (call(A) * 2, False),
        ([[]], False),
        ([{"args": [A]}], False),
        ([{"args": "a", "kwargs": {}}], False),
        (call(A, B), False),
        (call(A, 1), False),
        (call([[A]]), False),
        (call(A, training=True), False),
        (call(A, mask=B), False),
        (call(inputs=A), False),
        (call(A), True),
        (call([A, B]), True),
        (call(A, B, C, A), True),
        (call(A, key=B), True),
        (call(A, B, use_causal_mask=True), True),
        (call(A, B, attention_mask=C), True),
        (call(A, B, query=C), True),
        (call(A | {"config": {**A["config"], "keras_history": ["a", 0, 1]}}), False),
        (call(A | {"config": {**A["config"], "keras_history": ["a", False, 0]}}), False),
        (call(A | {"config": {**A["config"], "keras_history": ["a"]}}), False),
        (call(A | {"config": {**A["config"], "dtype": "int32"}}), False),
    ],
)
def test_reads_nothing_else(calls, apart):
    with pytest.raises(SpecError) as caught:
        reads("here", calls, apart=apart)
    assert caught.value.errors[0].field.startswith("here")


def test_a_sequential_model_keeps_its_order():
    nodes = [node("data"), node("a", "data"), node("b", "a")]
    assert in_order("m", nodes, None) == nodes


@pytest.mark.parametrize("entry", [["data", 0, 0], [["data", 0, 0]]])
def test_ends_alone_or_in_a_list(entry):
    nodes = [node("data"), node("a", "data")]
    assert in_order("m", nodes, {"input_layers": entry, "output_layers": [["a", 0, 0]]}) == nodes


@given(data=st.data(), size=st.integers(1, 12))
def test_every_layer_comes_behind_what_it_reads(data, size):
    nodes = [node("data")]
    for index in range(size):
        earlier = st.sampled_from([node.name for node in nodes])
        chain = nodes[-1].name  # so that every layer is used
        nodes.append(node(f"n{index}", chain, *data.draw(st.lists(earlier, max_size=3))))
    shuffled = data.draw(st.permutations(nodes))
    ordered = in_order("m", shuffled, ends(nodes[-1].name))
    assert sorted(ordered, key=nodes.index) == nodes
    seen = set()
    for found in ordered:
        assert set(found.reads) <= seen
        seen.add(found.name)
    assert (ordered[0].name, ordered[-1].name) == ("data", nodes[-1].name)


@pytest.mark.parametrize(
    ("nodes", "config", "field"),
    [
        ([node("data"), node("a", "data"), node("a", "data")], None, "m.layers"),
        ([node("a", "b"), node("b", "a")], ends("a"), "m.layers"),
        ([node("data"), node("more"), node("a", "data", "more")], ends("a"), "m.layers"),
        ([node("a"), node("data", "a"), node("more")], None, "m.layers"),
        ([node("data"), node("a", "data", "z")], ends("a"), "m.layers[a].inbound_nodes"),
        ([node("data"), node("a", "data", "b"), node("b", "a")], ends("b"), "m.layers"),
        ([node("data"), node("a", "data"), node("b", "data")], ends("b"), "m.layers"),
        ([node("data"), node("a", "data"), node("b", "a")], ends("a"), "m.output_layers"),
        ([node("data"), node("a", "data")], ends("a", entry="a"), "m.input_layers"),
        ([node("data"), node("a", "data")], ends(3), "m.output_layers[0]"),
    ],
)
def test_no_other_graph(nodes, config, field):
    with pytest.raises(SpecError) as caught:
        in_order("m", nodes, config)
    assert caught.value.errors[0].field == field


@pytest.mark.parametrize("name", ["a", "conv2d_1", "block1.conv-2", "0", "a" * 100])
def test_names(name):
    assert layer_name("here", name) == name


@pytest.mark.parametrize("name", ["", "a/b", "../a", "-a", ".a", "a b", "a\n", "é", "a" * 101, 1])
def test_no_names(name):
    with pytest.raises(SpecError):
        layer_name("here", name)
