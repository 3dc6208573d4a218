"""Small models in the form that Keras' `model.to_json()` writes, without Keras."""

import copy


def layer(kind, name, **config):
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": {"name": name, **config},
        "registered_name": None,
    }


FLAT = layer("Flatten", "flat")
ANSWER = layer("Dense", "answer", units=10, activation="softmax")


def sequential(*layers, shape=(28, 28)):
    data = layer("InputLayer", "data", batch_shape=[None, *shape])
    model = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "model", "trainable": True, "layers": [data, *layers]},
        "registered_name": None,
    }
    return copy.deepcopy(model)


def tensor(name):
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, 784], "dtype": "float32", "keras_history": [name, 0, 0]},
    }


def called(made, *sources, together=False, **kwargs):
    """A layer of a functional model with its only call."""
    tensors = [tensor(name) for name in sources]
    call = {"args": [tensors] if together else tensors, "kwargs": kwargs}
    return {**made, "name": made["config"]["name"], "inbound_nodes": [call]}


def functional(*layers, shape=(28, 28), output="answer"):
    data = layer("InputLayer", "data", batch_shape=[None, *shape])
    model = {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "model",
            "trainable": True,
            "layers": [{**data, "name": "data", "inbound_nodes": []}, *layers],
            "input_layers": ["data", 0, 0],
            "output_layers": [output, 0, 0],
        },
        "registered_name": "Functional",
    }
    return copy.deepcopy(model)


def residual():
    """A functional model of images with most kinds of values in its configs."""
    start = {
        "module": "keras.initializers",
        "class_name": "RandomNormal",
        "config": {"mean": 0.0, "stddev": 0.05, "seed": None},
        "registered_name": None,
    }
    policy = {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": "float32"},
        "registered_name": None,
    }
    kernel = {"filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same"}
    return functional(
        called(layer("Conv2D", "conv", **kernel, kernel_initializer=start, dtype=policy), "data"),
        called(layer("BatchNormalization", "norm", axis=-1, momentum=0.9), "conv", mask=None),
        called(layer("Add", "sum"), "norm", "conv", together=True),
        called(layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=None), "sum"),
        called(layer("Reshape", "rows", target_shape=[14, -1]), "pool"),
        called(layer("MultiHeadAttention", "attend", num_heads=2, key_dim=3), "rows", "rows"),
        called(layer("LSTM", "lstm", units=5, dropout=0.1), "attend", training=False, mask=None),
        called(ANSWER, "lstm"),
        shape=(28, 28, 1),
    )
