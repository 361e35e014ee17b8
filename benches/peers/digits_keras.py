"""The default job of `cresset train` in Keras, as in its guides: compile and fit. On TensorFlow, or on JAX."""
import os
import time

import digits_job

BACKENDS = {"tensorflow": "Keras on TensorFlow", "jax": "Keras on JAX"}
MODES = {
    "plain": "as in the guides",
    "fast": "all steps of an epoch in one call, compiled by XLA",
}

parser = digits_job.options(__doc__)
parser.add_argument("--backend", choices=BACKENDS, default="tensorflow", help="Keras backend (default tensorflow)")
parser.add_argument("--mode", choices=MODES, default="plain", help="; ".join(f"{name}: {what}" for name, what in MODES.items()))
args = parser.parse_args()

# These are read when Keras is imported. TensorFlow prints messages on every start unless only errors are logged.
os.environ["KERAS_BACKEND"] = args.backend
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if args.threads == 1:
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
started = time.perf_counter()
import keras

import_s = time.perf_counter() - started


class Watch(keras.callbacks.Callback):
    """Starts and stops the clock for the training part of each epoch; evaluation follows the last batch, before the epoch's end."""

    def __init__(self, clock):
        super().__init__()
        self.clock, self.is_training = clock, False

    def on_epoch_begin(self, epoch, logs=None):
        self.clock.begin()
        self.is_training = True

    def on_train_batch_end(self, batch, logs=None):
        self.clock.step_ended()

    def on_test_begin(self, logs=None):
        if self.is_training:
            self.clock.end()
            self.is_training = False


def main():
    if args.backend == "tensorflow":
        import tensorflow as tf

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
    is_fast = args.mode == "fast"
    model.compile(
        optimizer=keras.optimizers.Adam(digits_job.LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=True if is_fast else "auto",
        steps_per_execution=-(-len(y) // digits_job.BATCH_SIZE) if is_fast else 1,
    )
    clock = digits_job.Clock(args.warm_up_epochs)
    history = model.fit(
        x, y, batch_size=digits_job.BATCH_SIZE, epochs=args.warm_up_epochs + args.epochs, shuffle=True, verbose=0,
        validation_data=(x_heldout, y_heldout), validation_batch_size=len(y_heldout), callbacks=[Watch(clock)],
    )
    if args.export:
        model.save(args.export.with_suffix(".keras"))
    accuracy = history.history["val_accuracy"][-1]
    digits_job.report(f"keras-{args.backend}-{args.mode}", args, len(y), accuracy, import_s, clock)


main()
