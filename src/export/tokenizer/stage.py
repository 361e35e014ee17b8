  def STAGE(self: {class}, text: str, ids: List[int]) -> bool:
    # The next place of each added token, or -1. Of those at the same place the longest comes first in the list.
    places = annotate(List[int], [])
    if text.find(START) >= 0:
      for index in range(FIRST, FIRST + COUNT):
        places.append(text.find(self.added[index]))
    start = 0
    search = 0
    is_done = False
    is_full = False
    while not is_done:
      best = -1
      for index in range(len(places)):
        if places[index] >= 0 and places[index] < search:
          place = text[search:].find(self.added[FIRST + index])
          places[index] = place
          if place >= 0:
            places[index] = place + search
        if places[index] >= 0 and (best < 0 or places[index] < places[best]):
          best = index
      between = text
      if best >= 0:
        between = text[start:places[best]]
        if self.strips_left[FIRST + best] != 0:
          between = self.without_space_at_end(between)
      elif start > 0:
        between = text[start:]
      if len(between) > 0:
        is_full = self.NEXT(between, ids)
      is_done = is_full or best < 0
      if not is_done:
        search = places[best] + len(self.added[FIRST + best])
        ids.append(self.added_ids[FIRST + best])
        start = search
        if self.strips_right[FIRST + best] != 0:
          start = search + self.space_at_start(text[search:])
    return is_full
