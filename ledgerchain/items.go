package ledgerchain

import "iter"

// Items yields the values of a canonical array. They point into it, and it ends early where the array is not canonical.
func Items(array []byte) iter.Seq[[]byte] {
	return func(yield func(value []byte) bool) {
		if len(array) == 0 || array[0] != '[' {
			return
		}
		for i := 1; i < len(array) && array[i] != ']'; {
			end, err := scanValue(array, i, MaxDepth)
			if err != nil || !yield(array[i:end]) {
				return
			}
			i = end
			if i < len(array) && array[i] == ',' {
				i++
			}
		}
	}
}
