//! Transfer of batches to the device, overlapped with computation.

use cresset_bridge::cuda::{Sent, SideStream};
use cresset_bridge::memory::pinned;
use tch::{Device, Tensor};

use super::{Batch, Batches};
use crate::error::Result;

/// Moves batches, not mixed yet, from the CPU to `device`. A GPU copies them from pinned memory; with the CUDA plugin, on a
/// side stream, one batch ahead. For the CPU, batches are unchanged.
pub fn to_device<'a>(batches: impl Iterator<Item = Result<Batch>> + 'a, device: Device) -> Batches<'a> {
    if !device.is_cuda() {
        return Box::new(batches);
    }
    match SideStream::new(device) {
        Ok(stream) => Box::new(Prefetch { batches, carrier: stream, next: None }),
        Err(reason) => {
            tracing::debug!("batches are copied on the compute stream: {reason}");
            Box::new(batches.map(move |batch| moved(batch?, |tensor| to_device_async(tensor, device))))
        }
    }
}

fn moved(batch: Batch, mut each: impl FnMut(&Tensor) -> Result<Tensor>) -> Result<Batch> {
    Ok(Batch { inputs: each(&batch.inputs)?, labels: each(&batch.labels)?, ..batch })
}

/// Copies on the compute stream, without blocking the host.
fn to_device_async(tensor: &Tensor, device: Device) -> Result<Tensor> {
    Ok(pinned(tensor)?.f_to_device_(device, tensor.kind(), true, false)?)
}

/// An asynchronous copy in two steps, between which other work can run.
trait Carrier {
    /// A pending copy.
    type Sent;

    /// Starts a copy.
    fn send(&mut self, tensor: &Tensor) -> Result<Self::Sent>;

    /// Waits for a copy, and for all that were started before it.
    fn receive(&mut self, sent: Self::Sent) -> Result<Tensor>;
}

impl Carrier for SideStream {
    type Sent = Sent;

    fn send(&mut self, tensor: &Tensor) -> Result<Sent> {
        Ok(SideStream::send(self, &pinned(tensor)?)?)
    }

    fn receive(&mut self, sent: Sent) -> Result<Tensor> {
        Ok(SideStream::receive(self, sent)?)
    }
}

/// Starts the copy of each batch before returning the one before it.
struct Prefetch<I, C: Carrier> {
    batches: I,
    carrier: C,
    next: Option<Result<PendingBatch<C::Sent>>>,
}

/// A batch and the pending copies of its inputs and labels.
type PendingBatch<Sent> = (Batch, Sent, Sent);

impl<I: Iterator<Item = Result<Batch>>, C: Carrier> Prefetch<I, C> {
    fn send(&mut self) -> Option<Result<PendingBatch<C::Sent>>> {
        let Prefetch { batches, carrier, .. } = self;
        let send = |batch: Result<Batch>| {
            let batch = batch?;
            let (inputs, labels) = (carrier.send(&batch.inputs)?, carrier.send(&batch.labels)?);
            Ok((batch, inputs, labels))
        };
        batches.next().map(send)
    }
}

impl<I: Iterator<Item = Result<Batch>>, C: Carrier> Iterator for Prefetch<I, C> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        let current = match self.next.take() {
            Some(sent) => sent,
            None => self.send()?,
        };
        // Receive before sending the next, which must not be waited for.
        let batch = current.and_then(|(batch, inputs, labels)| {
            let (inputs, labels) = (self.carrier.receive(inputs)?, self.carrier.receive(labels)?);
            Ok(Batch { inputs, labels, ..batch })
        });
        self.next = self.send();
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use std::cell::RefCell;

    /// Three batches; the second one is an error if `problem` is given.
    fn batches(problem: Option<&'static str>) -> impl Iterator<Item = Result<Batch>> {
        (0..3i64).map(move |number| match problem {
            Some(problem) if number == 1 => Err(Error::Usage(problem.to_string())),
            _ => Ok(Batch::new(Tensor::from_slice(&[number as f32, 0.5]), Tensor::from_slice(&[number]))),
        })
    }

    fn numbers(batches: impl Iterator<Item = Result<Batch>>) -> Vec<std::result::Result<i64, String>> {
        let number = |batch: Result<Batch>| {
            let Batch { inputs, labels, mixed, .. } = batch.map_err(|error| error.to_string())?;
            assert_eq!(
                (inputs.double_value(&[0]) as i64, inputs.double_value(&[1])),
                (labels.int64_value(&[0]), 0.5)
            );
            assert!(mixed.is_none());
            Ok(labels.int64_value(&[0]))
        };
        batches.map(number).collect()
    }

    /// Records the calls.
    struct Recorder<'a>(&'a RefCell<Vec<String>>);

    impl Carrier for Recorder<'_> {
        type Sent = Tensor;

        fn send(&mut self, tensor: &Tensor) -> Result<Tensor> {
            self.0.borrow_mut().push(format!("send {}", tensor.double_value(&[0])));
            Ok(tensor.copy())
        }

        fn receive(&mut self, sent: Tensor) -> Result<Tensor> {
            self.0.borrow_mut().push(format!("receive {}", sent.double_value(&[0])));
            Ok(sent)
        }
    }

    #[test]
    fn for_the_cpu_batches_stay_as_they_are() {
        assert_eq!(numbers(to_device(batches(None), Device::Cpu)), [Ok(0), Ok(1), Ok(2)]);
        let storage = |batch: Option<Result<Batch>>| batch.unwrap().unwrap().inputs.data_ptr();
        let one = batches(None).next().unwrap().unwrap();
        let place = one.inputs.data_ptr();
        assert_eq!(storage(to_device(std::iter::once(Ok(one)), Device::Cpu).next()), place);
    }

    #[test]
    fn each_batch_is_sent_before_the_one_before_it_is_returned() {
        let notes = RefCell::new(Vec::new());
        let mut ahead = Prefetch { batches: batches(None), carrier: Recorder(&notes), next: None };
        ahead.next().unwrap().unwrap();
        // Inputs and labels each.
        let expected = ["send 0", "send 0", "receive 0", "receive 0", "send 1", "send 1"];
        assert_eq!(*notes.borrow(), expected);
        assert_eq!(numbers(ahead), [Ok(1), Ok(2)]);
        assert_eq!(notes.borrow().iter().filter(|note| note.starts_with("receive")).count(), 6);
    }

    #[test]
    fn a_failing_batch_keeps_its_position() {
        let notes = RefCell::new(Vec::new());
        let ahead = Prefetch { batches: batches(Some("unreadable")), carrier: Recorder(&notes), next: None };
        assert_eq!(numbers(ahead), [Ok(0), Err("unreadable".to_string()), Ok(2)]);
    }

    #[test]
    fn an_empty_epoch_sends_nothing() {
        let notes = RefCell::new(Vec::new());
        let ahead = Prefetch { batches: batches(None).take(0), carrier: Recorder(&notes), next: None };
        assert_eq!(numbers(ahead), []);
        assert!(notes.borrow().is_empty());
    }
}
