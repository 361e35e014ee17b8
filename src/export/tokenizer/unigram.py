  def add_plain(self: {class}, text: str, ids: List[int]) -> bool:
    limit = self.max_length
    mark = self.utf8(9601)
    plain = self.normalized(text)
    words = annotate(List[str], [])
    if BY_WHITESPACE:
      for word in self.with_plain_spaces(plain).split(" "):
        if len(word) > 0:
          words.append(word)
    elif len(plain) > 0:
      words.append(plain.replace(" ", mark))
    is_full = False
    for word in words:
      marked = word
      if PREPENDS_MARK and not word.startswith(mark):
        marked = mark + word
      if SPLITS:
        # Each mark begins a word.
        parts = marked.split(mark)
        for at in range(len(parts)):
          part = parts[at]
          if at > 0:
            part = mark + part
          if len(part) > 0 and not is_full:
            self.add_word(part, ids)
            is_full = len(ids) >= limit
      else:
        self.add_word(marked, ids)
        is_full = len(ids) >= limit
      if is_full:
        break
    return is_full
  def add_word(self: {class}, word: str, ids: List[int]) -> None:
    # Where the characters begin, and the best path to each of these places: its score, the place before it, and the last token.
    offsets = annotate(List[int], [])
    offset = 0
    for unit in list(word):
      if ord(unit) & 192 != 128:
        offsets.append(offset)
      offset = offset + 1
    count = len(offsets)
    offsets.append(offset)
    scores = [0.0] * (count + 1)
    before = [-1] * (count + 1)
    tokens = [0] * (count + 1)
    for start in range(count):
      has_character = False
      for end in range(start + 1, min(count, start + LONGEST) + 1):
        id = self.pieces.get(word[offsets[start]:offsets[end]], -1)
        if id >= 0:
          score = float(self.high[id]) * HIGH_UNIT + float(self.low[id]) * LOW_UNIT + scores[start]
          if before[end] < 0 or score > scores[end]:
            scores[end] = score
            before[end] = start
            tokens[end] = id
          has_character = has_character or end == start + 1
      if not has_character:
        score = UNKNOWN_SCORE + scores[start]
        if before[start + 1] < 0 or score > scores[start + 1]:
          scores[start + 1] = score
          before[start + 1] = start
          tokens[start + 1] = UNKNOWN
    # From the end. Unknown characters in a row are one token.
    path = annotate(List[int], [])
    end = count
    unknown = -1
    while end > 0:
      if tokens[end] == UNKNOWN:
        unknown = max(unknown, end)
      else:
        if unknown >= 0:
          path.append(self.pieces.get(word[offsets[end]:offsets[unknown]], UNKNOWN))
          unknown = -1
        path.append(tokens[end])
      end = before[end]
    if unknown >= 0:
      path.append(self.pieces.get(word[:offsets[unknown]], UNKNOWN))
    path.reverse()
    ids.extend(path)
  def is_plain(self: {class}, text: str) -> bool:
    # In a locale with an 8-bit character set, bytes of UTF-8 are printable, too.
    return text.isprintable() and not chr(195).isprintable()
  def normalized(self: {class}, text: str) -> str:
    result = text
    if not (KEEPS_ASCII and self.is_plain(text)):
      result = self.mapped(text)
STEPS    return result
  def with_plain_spaces(self: {class}, text: str) -> str:
    result = text
    if not self.is_plain(text):
      units = annotate(List[str], [])
      for point in self.code_points(text):
        if self.kind(point) & SPACE != 0:
          units.append(" ")
        else:
          units.append(self.utf8(point))
      result = "".join(units)
    return result
  def joined_spaces(self: {class}, text: str) -> str:
    units = annotate(List[str], [])
    spaces = -1
    for word in text.split(" "):
      spaces = spaces + 1
      if len(word) > 0:
        self.add_spaces(spaces, units)
        units.append(word)
        spaces = 0
    self.add_spaces(spaces, units)
    return "".join(units)
  def add_spaces(self: {class}, spaces: int, units: List[str]) -> None:
    if spaces == 1:
      units.append(" ")
    elif spaces > 1:
      units.append(self.utf8(JOINED))
  def mapped(self: {class}, text: str) -> str:
    points = self.code_points(text)
    kinds = [self.kind(point) for point in points]
    units = annotate(List[str], [])
    count = len(points)
    start = 0
    while start < count:
      end = self.cluster_end(points, kinds, start)
      size = 0
      for at in range(start, end):
        point = points[at]
        size = size + 1 + int(point > 127) + int(point > 2047) + int(point > 65535)
      is_done = False
      if end - start > 1 and size < 6:
        # The first characters stand for the whole cluster.
        prefix = ""
        for at in range(start, end):
          if not is_done:
            prefix = prefix + self.utf8(points[at])
            value = self.clusters.get(prefix, -1)
            if value >= 0:
              self.add_replacement(value, units)
              is_done = True
      if not is_done:
        for at in range(start, end):
          value = self.characters.get(points[at], -1)
          if value >= 0:
            self.add_replacement(value, units)
          else:
            units.append(self.utf8(points[at]))
      start = end
    return "".join(units)
  def add_replacement(self: {class}, value: int, units: List[str]) -> None:
    start = value // 64
    for point in self.replacements[start:start + value % 64]:
      units.append(self.utf8(point))
  def cluster_end(self: {class}, points: List[int], kinds: List[int], start: int) -> int:
    # The end of the grapheme cluster (Unicode Standard Annex 29). Pictographs: 1 after one, 2 after its joiner. Consonants of Indic
    # scripts: 1 after one, 2 after a linker.
    pictographs = 0
    consonants = 0
    at = start
    is_joined = True
    while is_joined:
      kind = kinds[at]
      if kind & EXTENDS != 0:
        if points[at] == 8205 and pictographs == 1:
          pictographs = 2
        elif kind & WITHIN_PICTOGRAPHS == 0 or pictographs == 2:
          pictographs = 0
        if kind & LINKER != 0 and consonants > 0:
          consonants = 2
        elif kind & WITHIN_CONSONANTS == 0:
          consonants = 0
      else:
        pictographs = int(kind & PICTOGRAPH != 0)
        consonants = int(kind & CONSONANT != 0)
      at = at + 1
      is_joined = False
      if at < len(points):
        after = kinds[at]
        if (kind | after) & CONTROL != 0:
          is_joined = points[at - 1] == 13 and points[at] == 10
        elif after & EXTENDS != 0 or kind & PREPENDS_CLUSTER != 0:
          is_joined = True
        elif kind & BEFORE_LEADING != 0:
          is_joined = after & AFTER_LEADING != 0
        elif kind & BEFORE_VOWEL != 0:
          is_joined = after & AFTER_VOWEL != 0
        elif kind & BEFORE_FINAL != 0:
          is_joined = after & AFTER_FINAL != 0
        else:
          is_joined = (after & PICTOGRAPH != 0 and pictographs == 2) or (after & CONSONANT != 0 and consonants == 2)
    return at
