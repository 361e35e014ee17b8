"""The default job of `cresset train` in Keras on TensorFlow, as its own guides write it: compile and fit."""
import os
import time

# Only errors: TensorFlow greets on every start otherwise. It reads this when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
started = time.perf_counter()
import tensorflow as tf
import keras

import_s = time.perf_counter() - started

import digits_job


def main():
    args = digits_job.options(__doc__).parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(args.seed)
    x, y, x_heldout, y_heldout = digits_job.read_parts(args)
    model = keras.Sequential([
        keras.Input((8, 8)),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10),
    ])
    model.compile(
        optimizer=keras.optimizers.Adam(digits_job.LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def fit(epochs):
        model.fit(x, y, batch_size=digits_job.BATCH_SIZE, epochs=epochs, shuffle=True, verbose=0)

    if args.warm_up_epochs:
        fit(args.warm_up_epochs)
    begun = time.perf_counter()
    fit(args.epochs)
    train_s = time.perf_counter() - begun

    accuracy = float((model.predict(x_heldout, verbose=0).argmax(1) == y_heldout).mean())
    if args.export:
        model.save(args.export)
    digits_job.report("keras", args, len(y), accuracy, import_s, train_s)


main()
