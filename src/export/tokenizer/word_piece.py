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
        if not ascii_only or not word.isprintable():
          pieces = self.unicode_pieces(word)
        elif word.isalnum():
          pieces = [word]
        elif word[:-1].isalnum():
          # The end of a sentence or of a part of it.
          pieces = [word[:-1], word[-1]]
        else:
          pieces = self.ascii_pieces(word)
        for piece in pieces:
          id = words.get(piece, -1)
          if id >= 0:
            ids.append(id)
          else:
            self.add_parts(piece, ids)
          is_full = len(ids) >= limit
          if is_full:
            break
      if is_full:
        break
    return is_full
  def ascii_pieces(self: {class}, word: str) -> List[str]:
    pieces = annotate(List[str], [])
    start = 0
    at = 0
    for unit in list(word):
      if not unit.isalnum():
        if at > start:
          pieces.append(word[start:at])
        pieces.append(unit)
        start = at + 1
      at = at + 1
    if at > start:
      pieces.append(word[start:])
    return pieces
  def unicode_pieces(self: {class}, word: str) -> List[str]:
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
    pieces = annotate(List[str], [])
    units = annotate(List[str], [])
    for point in points:
      kind = self.kind(point)
      if kind & (SPACE | PUNCTUATION) == 0:
        units.append(self.utf8(point))
      else:
        if len(units) > 0:
          pieces.append("".join(units))
          units.clear()
        if kind & PUNCTUATION != 0:
          pieces.append(self.utf8(point))
    if len(units) > 0:
      pieces.append("".join(units))
    return pieces
  def add_parts(self: {class}, word: str, ids: List[int]) -> None:
    size = len(word)
    if size > LONGEST_WORD and len(self.code_points(word)) > LONGEST_WORD:
      ids.append(UNKNOWN)
    else:
      known = BEGINNINGS
      found = annotate(List[int], [])
      start = 0
      while start < size:
        end = min(size, start + LONGEST_TOKEN)
        id = known.get(word[start:end], -1)
        while id == -1:
          # The empty text, with another number below 0, ends the search.
          end = end - 1
          id = known.get(word[start:end], -1)
        if id >= 0:
          found.append(id)
          start = end
          known = self.continuing
        else:
          found.clear()
          found.append(UNKNOWN)
          start = size
      ids.extend(found)
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
