  def encode(self: {class}, text: str) -> List[int]:
    ids = annotate(List[int], [])
    self.add_text(text, ids)
    return self.before + ids[:self.max_length - len(self.before) - len(self.after)] + self.after
  def encode_pair(self: {class}, first: str, second: str) -> Tuple[List[int], List[int]]:
    room = self.max_length - len(self.pair_before) - len(self.pair_between) - len(self.pair_after)
    both = annotate(List[List[int]], [])
    for text in [first, second]:
      ids = annotate(List[int], [])
      self.add_text(text, ids)
      both.append(ids)
    a = both[0]
    b = both[1]
    if len(a) + len(b) > room:
      shorter = min(len(a), len(b))
      longer = shorter
      if shorter <= room:
        longer = max(shorter, room - shorter)
      if shorter + longer > room:
        shorter = room // 2
        longer = shorter + room % 2
      if len(a) > len(b):
        a = a[:longer]
        b = b[:shorter]
      else:
        a = a[:shorter]
        b = b[:longer]
    ids = self.pair_before + a + self.pair_between + b + self.pair_after
    types = self.types_before + [self.first_type] * len(a) + self.types_between + [self.second_type] * len(b) + self.types_after
    return (ids, types)
  def code_points(self: {class}, text: str) -> List[int]:
    units = list(text)
    points = annotate(List[int], [])
    at = 0
    while at < len(units):
      first = ord(units[at])
      at = at + 1
      if first < 128:
        points.append(first)
      else:
        # The continuation bytes that are missing, and the range of the next one.
        missing = 0
        low = 128
        high = 191
        point = 65533
        if first >= 194 and first <= 223:
          missing = 1
          point = first & 31
        elif first >= 224 and first <= 239:
          missing = 2
          point = first & 15
          if first == 224:
            low = 160
          elif first == 237:
            high = 159
        elif first >= 240 and first <= 244:
          missing = 3
          point = first & 7
          if first == 240:
            low = 144
          elif first == 244:
            high = 143
        while missing > 0:
          unit = 0
          if at < len(units):
            unit = ord(units[at])
          if unit >= low and unit <= high:
            point = (point << 6) | (unit & 63)
            at = at + 1
            missing = missing - 1
            low = 128
            high = 191
          else:
            point = 65533
            missing = 0
        points.append(point)
    return points
  def utf8(self: {class}, point: int) -> str:
    if point < 128:
      text = chr(point)
    elif point < 2048:
      text = chr(192 | (point >> 6)) + chr(128 | (point & 63))
    elif point < 65536:
      text = chr(224 | (point >> 12)) + chr(128 | ((point >> 6) & 63)) + chr(128 | (point & 63))
    else:
      text = chr(240 | (point >> 18)) + chr(128 | ((point >> 12) & 63)) + chr(128 | ((point >> 6) & 63)) + chr(128 | (point & 63))
    return text
  def kind(self: {class}, point: int) -> int:
    return self.kinds[self.blocks[point >> 7] + (point & 127)]
  def without_space_at_end(self: {class}, text: str) -> str:
    points = self.code_points(text)
    size = len(text)
    last = len(points) - 1
    while last >= 0 and self.kind(points[last]) & SPACE != 0:
      size = size - len(self.utf8(points[last]))
      last = last - 1
    return text[:size]
  def space_at_start(self: {class}, text: str) -> int:
    size = 0
    for point in self.code_points(text):
      if self.kind(point) & SPACE == 0:
        break
      size = size + len(self.utf8(point))
    return size
