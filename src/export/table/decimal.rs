//! TorchScript that parses decimal numbers to the nearest float32 or float64.
//!
//! `float(text)` of TorchScript is `std::stod`: it depends on the locale of the process, takes hexadecimal numbers, fails on
//! subnormal ones, and its float64 is not always rounded to the nearest float32 of the text.

/// `decimal(text, bits)` is the number nearest to the text among those with `bits` of precision, 24 (float32) or 53 (float64): a
/// float64 that rounds to it, infinity for a number that is not finite, and NaN for other texts.
///
/// With 15 digits, the quotient of two integers is the nearest float64. A float64 rounds to the nearest float32 of the text unless
/// it is close to the middle between two of them. Only then, exact integers decide: little-endian limbs of nine digits.
///
/// libtorch compiles a copy of a method for each call, so the methods of this folder call expensive ones in one place.
pub(super) const METHODS: &str = r#"
  def decimal(self: {class}, text: str, bits: int) -> float:
    sign = -1.0 if text.startswith("-") else 1.0
    body = text[1:] if text.startswith("-") or text.startswith("+") else text
    whole, point, fraction = body.partition(".")
    digits = whole + fraction
    exponent = 0
    if not digits.isdigit():
      at = max(body.find("e"), body.find("E"))
      name = body.lower()
      if name == "inf" or name == "infinity" or name == "nan":
        return float("inf")
      if at < 0:
        return float("nan")
      power = body[at + 1:]
      is_small = power.startswith("-")
      if is_small or power.startswith("+"):
        power = power[1:]
      if not power.isdigit():
        return float("nan")
      power = power.lstrip("0")
      if len(power) > 5:
        power = "99999"
      exponent = int("0" + power)
      if is_small:
        exponent = -exponent
      whole, point, fraction = body[:at].partition(".")
      digits = whole + fraction
      if not digits.isdigit():
        return float("nan")
    exponent -= len(fraction)
    digits = digits.lstrip("0")
    if digits == "":
      return sign * 0.0
    if len(digits) <= 15 and exponent >= -22 and exponent <= 22:
      scale = 1.0
      for i in range(abs(exponent)):
        scale *= 10.0
      size = float(int(digits))
      size = size * scale if exponent > 0 else size / scale
      if bits == 53 or exponent == 0 or not self.is_between(size, 0.0):
        return sign * size
    return sign * self.nearest(digits, exponent, bits)
  def is_between(self: {class}, size: float, tolerance: float) -> bool:
    mantissa, power = torch.frexp(size)
    units = torch.ldexp(size, 24 - max(power, -125))
    return abs(units - float(torch.floor(units)) - 0.5) <= tolerance
  def nearest(self: {class}, digits: str, exponent: int, bits: int) -> float:
    magnitude = len(digits) + exponent
    if magnitude > 300:
      return float("inf")
    if magnitude < -280:
      return 0.0
    head = digits[:18]
    size = float(int(head))
    power = exponent + len(digits) - len(head)
    scale = 1.0
    steps = abs(power)
    while steps > 0:
      scale *= 10.0
      steps -= 1
      if scale >= 1e22 or steps == 0:
        size = size * scale if power > 0 else size / scale
        scale = 1.0
    if bits == 24:
      if size > 1e39:
        return float("inf")
      if not self.is_between(size, 1e-4):
        return size
    return self.exact(digits, exponent, size, bits)
  def exact(self: {class}, digits: str, exponent: int, size: float, bits: int) -> float:
    mantissa, power = torch.frexp(size)
    unit = power - bits
    lowest = -149 if bits == 24 else -1074
    unit = max(unit, lowest)
    count = int(torch.ldexp(size, -unit))
    side = 1
    goes = True
    while goes:
      order = self.compare(digits, exponent, 2 * count + side, unit - 1)
      if order == side or (order == 0 and count % 2 == 1):
        count += side
      elif side == 1 and count > 0:
        side = -1
      else:
        goes = False
    return torch.ldexp(float(count), unit)
  def compare(self: {class}, digits: str, exponent: int, factor: int, power: int) -> int:
    left = self.limbs(digits)
    right = self.limbs(str(factor))
    self.multiply(left, 10, exponent)
    self.multiply(right, 10, -exponent)
    self.multiply(left, 2, -power)
    self.multiply(right, 2, power)
    if len(left) != len(right):
      return 1 if len(left) > len(right) else -1
    for i in range(len(left)):
      at = len(left) - 1 - i
      if left[at] != right[at]:
        return 1 if left[at] > right[at] else -1
    return 0
  def limbs(self: {class}, digits: str) -> List[int]:
    limbs = annotate(List[int], [])
    end = len(digits)
    while end > 0:
      limbs.append(int(digits[max(end - 9, 0):end]))
      end -= 9
    return limbs
  def multiply(self: {class}, limbs: List[int], base: int, times: int) -> None:
    while times > 0:
      factor = 1
      while times > 0 and factor < 100000000:
        factor *= base
        times -= 1
      carry = 0
      for at in range(len(limbs)):
        product = limbs[at] * factor + carry
        limbs[at] = product % 1000000000
        carry = product // 1000000000
      if carry > 0:
        limbs.append(carry)
    return None
"#;
