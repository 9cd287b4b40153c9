// State that is edited freely but starts over when the value it follows changes.
import { useState } from 'react';
import type { Dispatch, SetStateAction } from 'react';

export function useFollowing<T>(value: T): [T, Dispatch<SetStateAction<T>>] {
  const [followed, setFollowed] = useState(value);
  const [state, setState] = useState(value);
  if (followed !== value) {
    setFollowed(value);
    setState(value);
    return [value, setState];
  }
  return [state, setState];
}
