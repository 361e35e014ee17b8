  def STAGE(self: {class}, text: str, ids: List[int]) -> bool:
    # The next place of each added token, or -1. Of those at the same place the longest comes first in the list.
    places = annotate(List[int], [])
    found = False
    for index in range(FIRST, LAST):
      place = text.find(self.added[index])
      places.append(place)
      if place >= 0:
        found = True
    start = 0
    search = 0
    is_full = False
    while found and not is_full:
      best = -1
      for index in range(LAST - FIRST):
        if places[index] >= 0 and places[index] < search:
          place = text[search:].find(self.added[FIRST + index])
          places[index] = place
          if place >= 0:
            places[index] = place + search
        if places[index] >= 0 and (best < 0 or places[index] < places[best]):
          best = index
      if best < 0:
        found = False
      else:
        place = places[best]
        search = place + len(self.added[FIRST + best])
        between = text[start:place]
        if self.strips_left[FIRST + best] != 0:
          between = self.without_space_at_end(between)
        is_full = self.NEXT(between, ids)
        if not is_full:
          ids.append(self.added_ids[FIRST + best])
          start = search
          if self.strips_right[FIRST + best] != 0:
            start = search + self.space_at_start(text[search:])
    if start > 0:
      text = text[start:]
    if not is_full and len(text) > 0:
      is_full = self.NEXT(text, ids)
    return is_full
