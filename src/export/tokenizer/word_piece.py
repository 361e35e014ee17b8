  def add_plain(self: {class}, text: str, ids: List[int]) -> bool:
    words = self.words
    limit = self.max_length
    # In a locale with an 8-bit character set, methods of strings see letters in the bytes of UTF-8.
    ascii_only = not chr(195).isprintable()
    if LOWERCASES and ascii_only:
      text = text.lower()
    is_full = False
    # libtorch writes a literal of this character to a file that it cannot read.
    carriage_return = chr(self.carriage_return[0])
    for word in text.replace("\t", " ").replace("\n", " ").replace(carriage_return, " ").split(" "):
      id = words.get(word, -1)
      if id >= 0:
        ids.append(id)
        is_full = len(ids) >= limit
      elif len(word) > 0:
        if ascii_only and word.isprintable():
          is_full = self.add_ascii(word, ids)
        else:
          is_full = self.add_unicode(word, ids)
      if is_full:
        break
    return is_full
  def add_ascii(self: {class}, word: str, ids: List[int]) -> bool:
    if word.isalnum():
      return self.add_word(word, ids)
    # The end of a sentence or of a part of it.
    end = self.punctuation.get(word[-1], -1)
    id = self.words.get(word[:-1], -1)
    if end >= 0 and id >= 0 and len(ids) + 1 < self.max_length:
      ids.append(id)
      ids.append(end)
      return len(ids) >= self.max_length
    start = 0
    at = 0
    is_full = False
    for unit in list(word):
      id = self.punctuation.get(unit, -1)
      if id >= 0:
        if at > start:
          is_full = self.add_word(word[start:at], ids)
        if not is_full:
          ids.append(id)
          is_full = len(ids) >= self.max_length
        start = at + 1
        if is_full:
          break
      at = at + 1
    if at > start and not is_full:
      is_full = self.add_word(word[start:], ids)
    return is_full
  def add_unicode(self: {class}, word: str, ids: List[int]) -> bool:
    points = annotate(List[int], [])
    for point in self.code_points(word):
      kind = self.kind(point)
      if kind & CONTROL != 0:
        pass
      elif kind & SPACE != 0:
        points.append(32)
      elif kind & IDEOGRAPH != 0:
        points.append(32)
        points.append(point)
        points.append(32)
      else:
        points.append(point)
    if STRIPS_ACCENTS:
      points = self.without_accents(points)
    if LOWERCASES:
      points = self.in_lowercase(points)
    is_full = False
    units = annotate(List[str], [])
    for point in points:
      kind = self.kind(point)
      if kind & (SPACE | PUNCTUATION) == 0:
        units.append(self.utf8(point))
      else:
        if len(units) > 0:
          is_full = self.add_word("".join(units), ids)
          units.clear()
        if kind & PUNCTUATION != 0 and not is_full:
          is_full = self.add_word(self.utf8(point), ids)
        if is_full:
          break
    if len(units) > 0:
      is_full = self.add_word("".join(units), ids)
    return is_full
  def add_word(self: {class}, word: str, ids: List[int]) -> bool:
    size = len(word)
    id = self.words.get(word, -1)
    if id >= 0:
      ids.append(id)
    elif size > LONGEST_WORD and len(self.code_points(word)) > LONGEST_WORD:
      ids.append(UNKNOWN)
    else:
      longest = self.longest[0]
      found = annotate(List[int], [])
      start = 0
      while start < size:
        end = min(size, start + longest)
        id = -1
        while id < 0 and end > start:
          part = word[start:end]
          if start > 0:
            id = self.continuing.get(part, -1)
          else:
            id = self.words.get(part, -1)
            if id < 0:
              id = self.others.get(part, -1)
          end = end - 1
        start = end + 1
        if id < 0:
          found.clear()
          id = UNKNOWN
          start = size
        found.append(id)
      ids.extend(found)
    return len(ids) >= self.max_length
  def without_accents(self: {class}, points: List[int]) -> List[int]:
    kept = annotate(List[int], [])
    marks = annotate(List[int], [])
    for point in points:
      if point >= 44032 and point <= 55203:
        syllable = point - 44032
        self.add_part(4352 + syllable // 588, kept, marks)
        self.add_part(4449 + syllable % 588 // 28, kept, marks)
        if syllable % 28 != 0:
          self.add_part(4519 + syllable % 28, kept, marks)
      else:
        part = self.decompositions.get(point, point)
        if part >= 0:
          self.add_part(part, kept, marks)
        else:
          start = (-part) // 16
          for part in self.replacements[start:start + (-part) % 16]:
            self.add_part(part, kept, marks)
    self.add_marks(kept, marks)
    return kept
  def add_part(self: {class}, point: int, kept: List[int], marks: List[int]) -> None:
    combining = 0
    if point >= 768:
      combining = self.classes.get(point, 0)
    if combining > 0:
      # Sorted by class, then by place.
      marks.append((combining << 53) | (len(marks) << 21) | point)
    else:
      self.add_marks(kept, marks)
      if self.kind(point) & ACCENT == 0:
        kept.append(point)
  def add_marks(self: {class}, kept: List[int], marks: List[int]) -> None:
    if len(marks) > 0:
      marks.sort()
      for mark in marks:
        if self.kind(mark & 2097151) & ACCENT == 0:
          kept.append(mark & 2097151)
      marks.clear()
  def in_lowercase(self: {class}, points: List[int]) -> List[int]:
    lower = annotate(List[int], [])
    for point in points:
      part = self.lowercase.get(point, point)
      if part >= 0:
        lower.append(part)
      else:
        start = (-part) // 16
        lower.extend(self.replacements[start:start + (-part) % 16])
    return lower
