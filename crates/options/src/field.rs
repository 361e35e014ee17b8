//! The declaration of an option: what stands behind `=` in [`options!`](crate::options!).

use std::marker::PhantomData;

use crate::option_set::{OptionOf, OptionSet};
use crate::{Choice, Item, Spec, Value, pick};

type Parse<T> = Box<dyn Fn(&str) -> Result<<T as Value>::Item, String> + Send + Sync>;

/// An option of type `T`.
pub struct Field<T: Value> {
    spec: Spec,
    parse: Parse<T>,
    entry: fn(&T::Item) -> toml::Value,
}

/// An option whose value has this name in the help.
pub fn option<T: Value>(value_name: &'static str) -> Field<T> {
    let spec = Spec {
        choices: T::Item::choices(),
        is_number: T::Item::IS_NUMBER,
        is_list: T::IS_LIST,
        ..Spec::new(value_name)
    };
    Field { spec, parse: Box::new(T::Item::parse), entry: Item::entry }
}

/// An option that may stand without a value, which is then `true`.
pub fn flag<T: Value>() -> Field<T> {
    option("YES").alone("true")
}

impl<T: Value> Field<T> {
    /// The value unless another one is given, as it would be given.
    pub fn default(mut self, text: &'static str) -> Self {
        self.spec.default = Some(text);
        self
    }

    /// Another parser than that of the type.
    pub fn parser(mut self, parse: impl Fn(&str) -> Result<T::Item, String> + Send + Sync + 'static) -> Self {
        self.parse = Box::new(parse);
        self.spec.choices = Vec::new();
        self
    }

    /// The names that it takes, such as those of a registry.
    pub fn choices(mut self, choices: impl IntoIterator<Item = Choice>) -> Self {
        self.spec.choices = choices.into_iter().collect();
        self
    }

    /// How a value is written to TOML, if not as its type is.
    pub fn entry(mut self, entry: fn(&T::Item) -> toml::Value) -> Self {
        self.entry = entry;
        self
    }

    /// The value that it has if it is given without one.
    pub fn alone(mut self, text: &'static str) -> Self {
        self.spec.alone = Some(text);
        self
    }

    /// Refuses an empty text.
    pub fn not_empty(mut self) -> Self {
        self.spec.may_be_empty = false;
        self
    }

    /// The heading of its group in the help.
    pub fn heading(mut self, heading: &'static str) -> Self {
        self.spec.heading = Some(heading);
        self
    }

    /// Shows it in the short help, where all others of its struct that are not essential are left out.
    pub fn essential(mut self) -> Self {
        self.spec.is_essential = true;
        self
    }

    /// Other names that it is read by.
    pub fn aliases(mut self, names: &'static [&'static str]) -> Self {
        self.spec.aliases = names;
        self
    }

    /// An option that it cannot be given together with on the command line.
    pub fn conflicts_with(mut self, name: &'static str) -> Self {
        self.spec.conflicts_with = Some(name);
        self
    }

    /// The value of a new struct.
    ///
    /// # Panics
    /// A default that the option itself refuses, and a type that needs one where there is none.
    #[doc(hidden)]
    pub fn initial(self) -> T {
        match self.spec.default {
            Some(text) => self.read(text).expect("a default is valid"),
            None => T::absent().expect("an option that always has a value has a default"),
        }
    }

    /// The option as part of a struct `S`.
    #[doc(hidden)]
    pub fn within<S: 'static>(
        mut self,
        name: &'static str,
        docs: &str,
        get: fn(&S) -> &T,
        get_mut: fn(&mut S) -> &mut T,
    ) -> Vec<OptionOf<S>> {
        let spec = std::mem::replace(&mut self.spec, Spec::new("")).named(name, docs);
        self.spec = spec.clone();
        let entry = self.entry;
        let set = move |into: &mut S, text: &str| self.read(text).map(|value| *get_mut(into) = value);
        vec![OptionOf::new(spec, set, move |of| get(of).entry(entry))]
    }

    fn read(&self, text: &str) -> Result<T, String> {
        let Spec { choices, may_be_empty, .. } = &self.spec;
        if text.is_empty() && !may_be_empty {
            return Err("it cannot be empty".to_string());
        }
        let parse = |text: &str| match choices.is_empty() {
            true => (self.parse)(text),
            false => (self.parse)(pick(choices, text)?),
        };
        T::read(text, &parse)
    }
}

/// A struct of options inside another one, which has them as its own.
pub struct Nested<T>(PhantomData<T>);

/// The options of another struct.
pub fn nested<T: OptionSet>() -> Nested<T> {
    Nested(PhantomData)
}

impl<T: OptionSet> Nested<T> {
    /// The value of a new struct.
    #[doc(hidden)]
    pub fn initial(self) -> T {
        T::default()
    }

    /// Its options as part of a struct `S`.
    #[doc(hidden)]
    pub fn within<S: 'static>(
        self,
        _name: &'static str,
        _docs: &str,
        get: fn(&S) -> &T,
        get_mut: fn(&mut S) -> &mut T,
    ) -> Vec<OptionOf<S>> {
        let outer = |inner: &'static OptionOf<T>| {
            let set = move |into: &mut S, text: &str| inner.set(get_mut(into), text);
            OptionOf::new(inner.spec.clone(), set, move |of| inner.entry(get(of)))
        };
        T::table().iter().map(outer).collect()
    }
}
