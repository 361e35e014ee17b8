//! TorchScript of models that recommend items to users.

use crate::data::column::{ColumnKind, TableLayout};
use crate::model::script::{Class, Collection};

/// The attributes of the exported module: the index of each user and of each item, and the items.
const USERS: &str = "user_indexes";
const ITEMS: &str = "item_indexes";
const NAMES: &str = "items";

/// The methods. [`torchscript()`](super::torchscript()) describes them.
pub(super) const METHODS: &str = r#"
def codes_of(self, texts: List[str], indexes: Dict[str, int]) -> Tensor:
    codes: List[int] = []
    for text in texts:
        codes.append(indexes[text] if text in indexes else -1)
    return torch.tensor(codes, dtype=4, device=self.preprocess.offset.device)

def user_vector(self, users: List[str]) -> Tensor:
    return self.towers.user_vectors(self.codes_of(users, self.user_indexes))

def item_vector(self, items: List[str]) -> Tensor:
    return self.towers.item_vectors(self.codes_of(items, self.item_indexes))

def score(self, users: List[str], items: List[str]) -> Tensor:
    if len(users) != len(items):
        raise AssertionError(str(len(users)) + " user(s) do not match " + str(len(items)) + " item(s)")
    return torch.sum(self.user_vector(users) * self.item_vector(items), [-1])

def item_scores(self, users: Tensor) -> Tensor:
    return self.towers.item_scores(users)

def recommend(self, user: str, k: int, exclude: List[str]) -> Tuple[List[str], Tensor]:
    scores = self.item_scores(self.codes_of([user], self.user_indexes))[0]
    known: List[int] = []
    for item in exclude:
        if item in self.item_indexes:
            known.append(self.item_indexes[item])
    if len(known) > 0:
        scores = scores.index_fill(0, torch.tensor(known, dtype=4, device=scores.device), float("-inf"))
    count = int(torch.sum(torch.gt(scores, float("-inf"))))
    values, best = torch.topk(scores, max(min(k, count), 0), -1, True, True)
    names: List[str] = []
    for index in torch.unbind(best.cpu(), 0):
        names.append(self.items[int(index)])
    return (names, values)

def item_names(self) -> List[str]:
    return self.items
"#;

/// Adds users and items to the class of a network.
pub(super) fn with_names(class: Class, layout: &TableLayout) -> Class {
    let [users, items] = names(layout);
    class.collection(USERS, indexes(users)).collection(ITEMS, indexes(items)).strings(NAMES, items)
}

fn indexes(names: &[String]) -> Collection {
    Collection::ByText((0..).zip(names).map(|(index, name)| (name.clone(), index)).collect())
}

/// The names of the users and of the items, by their index; empty for other tables.
pub(crate) fn names(layout: &TableLayout) -> [&[String]; 2] {
    match &layout.columns[..] {
        [user, item] => [user, item].map(|column| match &column.kind {
            ColumnKind::Code { categories, .. } => categories.as_slice(),
            _ => &[],
        }),
        _ => [&[], &[]],
    }
}
