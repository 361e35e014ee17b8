  def add_plain(self: {class}, text: str, ids: List[int]) -> bool:
    if len(text) > 0 and ADDS_SPACE and not text.startswith(" "):
      text = " " + text
    spaced = self.spaced
    limit = self.max_length
    # In a locale with an 8-bit character set, bytes of UTF-8 are letters, too.
    ascii_only = not chr(195).isprintable()
    words = text.split(" ")
    is_full = False
    # The words from `first` on are not encoded yet.
    first = 0
    for at in range(1, len(words) + 1):
      id = -1
      is_cut = True
      if at < len(words):
        id = spaced.get(words[at], -1)
        # Whitespace before the last space of several is a token of its own: a text can be cut before a space only if no whitespace
        # follows it.
        is_cut = id >= 0 or not self.starts_with_space(words[at])
      if is_cut and first < at:
        for piece in self.pieces(words, first, at, ascii_only):
          self.add_piece(piece, ids)
          is_full = len(ids) >= limit
          if is_full:
            break
        first = at
      if id >= 0 and not is_full:
        ids.append(id)
        is_full = len(ids) >= limit
        first = at + 1
      if is_full:
        break
    return is_full
  def starts_with_space(self: {class}, word: str) -> bool:
    starts = len(word) == 0
    if not starts:
      unit = ord(word[0])
      # The first bytes of all whitespace, and of other characters.
      starts = unit <= 32 or unit == 194 or (unit >= 225 and unit <= 227)
    return starts
  def pieces(self: {class}, words: List[str], first: int, last: int, ascii_only: bool) -> List[str]:
    word = words[first]
    pieces = annotate(List[str], [])
    is_single = ascii_only and first > 0 and last - first == 1
    if is_single and word.isalpha():
      pieces.append(" " + word)
    elif is_single and word[:-1].isalpha() and self.ends_sentence(word[-1]):
      pieces.append(" " + word[:-1])
      pieces.append(word[-1])
    else:
      text = " ".join(words[first:last])
      if first > 0:
        text = " " + text
      pieces = self.split(text)
    return pieces
  def split(self: {class}, text: str) -> List[str]:
    points = self.code_points(text)
    if 65533 in points:
      text = "".join([self.utf8(point) for point in points])
    kinds = [self.kind(point) for point in points]
    pieces = annotate(List[str], [])
    count = len(points)
    start = 0
    offset = 0
    while start < count:
      end = start + 1
      contraction = 0
      if points[start] == 39:
        contraction = self.contraction(points, start)
      if contraction > 0:
        end = start + contraction
      else:
        # A space belongs to the word after it.
        if points[start] == 32 and end < count and kinds[end] != SPACE:
          end = end + 1
        kind = kinds[end - 1]
        while end < count and kinds[end] == kind:
          end = end + 1
        if kind == SPACE and end < count and end - start > 1:
          end = end - 1
      size = 0
      for point in points[start:end]:
        size = size + 1 + int(point > 127) + int(point > 2047) + int(point > 65535)
      pieces.append(text[offset:offset + size])
      offset = offset + size
      start = end
    return pieces
  def ends_sentence(self: {class}, unit: str) -> bool:
    # Whether this byte is neither a letter nor a digit nor whitespace, in ASCII.
    return ord(unit) > 32 and ord(unit) < 127 and not unit.isalnum()
  def contraction(self: {class}, points: List[int], start: int) -> int:
    # The length of 's, 't, 'm, 'd, 're, 've or 'll, or 0.
    size = 0
    if start + 1 < len(points):
      first = points[start + 1]
      if first == 115 or first == 116 or first == 109 or first == 100:
        size = 2
      elif start + 2 < len(points):
        second = points[start + 2]
        if (second == 101 and (first == 114 or first == 118)) or (first == 108 and second == 108):
          size = 3
    return size
  def add_piece(self: {class}, word: str, ids: List[int]) -> None:
    id = self.plain.get(word, -1)
    if id < 0 and word.startswith(" "):
      id = self.spaced.get(word[1:], -1)
    if id >= 0:
      ids.append(id)
    else:
      tokens = [self.bytes[ord(unit)] for unit in list(word)]
      if len(tokens) < 100:
        self.add_merged(tokens, ids)
      else:
        self.add_long_merged(tokens, ids)
  def add_merged(self: {class}, tokens: List[int], ids: List[int]) -> None:
    # The ranks of adjacent pairs. The lowest rank is merged next, the first of equal ones.
    ranks = annotate(List[int], [])
    for at in range(len(tokens) - 1):
      ranks.append(self.ranks.get(tokens[at] * SIZE + tokens[at + 1], NO_RANK))
    rank = 0
    while len(ranks) > 0 and rank < NO_RANK:
      rank = min(ranks)
      if rank < NO_RANK:
        at = ranks.index(rank)
        merged = self.merged[rank]
        tokens[at] = merged
        tokens.pop(at + 1)
        ranks.pop(at)
        if at > 0:
          ranks[at - 1] = self.ranks.get(tokens[at - 1] * SIZE + merged, NO_RANK)
        if at < len(ranks):
          ranks[at] = self.ranks.get(merged * SIZE + tokens[at + 1], NO_RANK)
    ids.extend(tokens)
  def add_long_merged(self: {class}, tokens: List[int], ids: List[int]) -> None:
    # The same, without a search through all pairs for each merge. Tokens are a linked list. The merges that are possible are sorted by
    # rank and place: `waiting` has the next one last, and `recent` has new ones until they are many.
    count = len(tokens)
    after = rangelist(count + 1)[1:]
    before = [-1] + rangelist(count)[:-1]
    waiting = annotate(List[int], [])
    recent = annotate(List[int], [])
    for at in range(count - 1):
      self.add_pair(tokens[at], tokens[at + 1], at, waiting)
    waiting.sort(reverse=True)
    while len(waiting) > 0 or len(recent) > 0:
      if len(recent) > 0:
        merge = min(recent)
        if len(waiting) > 0 and waiting[-1] <= merge:
          merge = waiting.pop()
        else:
          recent.remove(merge)
      else:
        merge = waiting.pop()
      at = merge & 4294967295
      merged = self.merged[merge >> 32]
      # The pair may have changed since.
      if tokens[at] >= 0 and after[at] < count:
        next = after[at]
        rank = self.ranks.get(tokens[at] * SIZE + tokens[next], -1)
        if rank >= 0 and self.merged[rank] == merged:
          tokens[at] = merged
          tokens[next] = -1
          next = after[next]
          after[at] = next
          if next < count:
            before[next] = at
            self.add_pair(merged, tokens[next], at, recent)
          if before[at] >= 0:
            self.add_pair(tokens[before[at]], merged, before[at], recent)
          if len(recent) > 1024:
            waiting.extend(recent)
            waiting.sort(reverse=True)
            recent.clear()
    for token in tokens:
      if token >= 0:
        ids.append(token)
  def add_pair(self: {class}, first: int, second: int, at: int, waiting: List[int]) -> None:
    rank = self.ranks.get(first * SIZE + second, -1)
    if rank >= 0:
      waiting.append((rank << 32) | at)
