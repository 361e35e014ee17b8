//! TorchScript of whole rows: the methods that other programs call.

use crate::data::column::{ColumnKind, TableLayout};

/// The methods of the encoder for a layout whose cells are encoded by these methods, in the order of their numbers.
pub(super) fn methods(layout: &TableLayout, methods: &[&str]) -> String {
    let branch = |(number, name): (usize, &&str)| {
        let condition = if number == 0 { "if" } else { "elif" };
        format!("    {condition} kind == {number}:\n      problem = self.{name}(column, text, values, at)\n")
    };
    let branches: String = methods.iter().enumerate().map(branch).collect();
    let numeric = layout.columns.iter().filter(|column| column.kind == ColumnKind::Number).count();
    METHODS
        .replace("{branches}", &branches)
        .replace("{width}", &layout.features().to_string())
        .replace("{columns}", &layout.columns.len().to_string())
        .replace("{numeric}", &numeric.to_string())
        .replace("{texts}", &(layout.columns.len() - numeric).to_string())
}

const METHODS: &str = r#"
  def encode(self: {class}, rows: List[List[str]]) -> Tensor:
    values = [0.0] * (len(rows) * {width})
    for row in range(len(rows)):
      cells = rows[row]
      if len(cells) != {columns}:
        self.refuse(row, "the row has " + str(len(cells)) + " cell(s); expected {columns}, those of column_names()")
      for column in range({columns}):
        problem = self.cell(column, cells[column], values, row * {width} + self.starts[column])
        if problem != "":
          self.refuse(row, self.place(column) + problem)
    return torch.tensor(values, dtype=6).view([len(rows), {width}])
  def encode_columns(self: {class}, numbers: Tensor, texts: List[List[str]]) -> Tensor:
    if numbers.dim() != 2 or numbers.size(-1) != {numeric}:
      raise AssertionError("the numbers must be (N, {numeric}): the columns of numeric_column_names()")
    rows = numbers.size(0)
    if {texts} > 0 and len(texts) != rows:
      raise AssertionError(str(rows) + " row(s) of numbers do not match " + str(len(texts)) + " row(s) of texts")
    values = [0.0] * (rows * {width})
    if {texts} > 0:
      for row in range(rows):
        cells = texts[row]
        if len(cells) != {texts}:
          self.refuse(row, "the row has " + str(len(cells)) + " text(s); expected {texts}, those of text_column_names()")
        for i in range({texts}):
          column = self.text_columns[i]
          problem = self.cell(column, cells[i], values, row * {width} + self.starts[column])
          if problem != "":
            self.refuse(row, self.place(column) + problem)
    result = torch.tensor(values, dtype=6).view([rows, {width}])
    if {numeric} > 0:
      given = numbers.detach().cpu().to(6)
      self.check_numbers(given)
      starts = annotate(List[int], [])
      for column in self.numeric_columns:
        starts.append(self.starts[column])
      result.index_copy_(1, torch.tensor(starts, dtype=4), given)
    return result
  def check_numbers(self: {class}, numbers: Tensor) -> None:
    faults = torch.nonzero(torch.isinf(numbers))
    problem = "an infinite number"
    if faults.size(0) == 0 and self.missing[self.numeric_columns[0]] == -3:
      faults = torch.nonzero(torch.isnan(numbers))
      problem = "missing value (NaN); the model was trained without missing values"
    if faults.size(0) > 0:
      column = self.numeric_columns[int(faults[0][1])]
      self.refuse(int(faults[0][0]), self.place(column) + problem)
    return None
  def cell(self: {class}, column: int, cell: str, values: List[float], at: int) -> str:
    text = self.trimmed(cell)
    if len(text) <= 4 and text.lower() in self.missing_marks:
      missing = self.missing[column]
      if missing == -3:
        return "missing value (`" + text + "`); the model was trained without missing values"
      if missing == -2:
        for feature in range(self.widths[column]):
          values[at + feature] = float("nan")
      if missing >= 0:
        values[at + missing] = 1.0
      return ""
    kind = self.kinds[column]
    problem = ""
{branches}    return self.quoted(text) + problem if problem.startswith(" ") else problem
  def place(self: {class}, column: int) -> str:
    return "column " + str(column + 1) + " (" + self.names[column] + "): "
  def refuse(self: {class}, row: int, problem: str) -> None:
    raise AssertionError("row " + str(row + 1) + ", " + problem)
  def column_names(self: {class}) -> List[str]:
    return self.names
  def numeric_column_names(self: {class}) -> List[str]:
    return [self.names[column] for column in self.numeric_columns]
  def text_column_names(self: {class}) -> List[str]:
    return [self.names[column] for column in self.text_columns]
"#;
