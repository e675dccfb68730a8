package passwords

import "time"

// kept are answers that are not asked for again until they are too old. Only a yes is put here.
type kept struct {
	answers map[question]keptAnswer
	row     []keptRow // in the order of their coming, which is that of their end
}

type keptAnswer struct {
	answer
	until time.Time
}

type keptRow struct {
	question
	until time.Time
}

// mostKept answers are some 2 MB. For more than these the oldest are asked again.
const mostKept = 10_000

func (k *kept) get(q question, now time.Time) (answer, bool) {
	a, ok := k.answers[q]
	if !ok || !now.Before(a.until) {
		return answer{}, false
	}
	return a.answer, true
}

func (k *kept) put(q question, a answer, now, until time.Time) {
	if k.answers == nil {
		k.answers = make(map[question]keptAnswer)
	}
	for len(k.row) > 0 && (len(k.row) >= mostKept || !now.Before(k.row[0].until)) {
		if old := k.row[0]; k.answers[old.question].until.Equal(old.until) { // else it has been put again
			delete(k.answers, old.question)
		}
		k.row = k.row[1:]
	}
	k.answers[q] = keptAnswer{a, until}
	k.row = append(k.row, keptRow{q, until})
}
