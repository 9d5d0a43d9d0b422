/*
 * What both models share: the frames and facts of one configuration, what a member knows, delivery.
 *
 * One regular configuration of N members, which make at most M frames of one message each, and tell at most E facts
 * alone. Frames and facts together are *events*, at most L of a member; sets of events are bit masks, in which those of
 * the member with rank r, in the order in which it makes them, are the bits r*L ... r*L+L-1.
 *
 * The network keeps every event for ever and shows it to whom it likes, when it likes, in any order: so every delay, loss,
 * repetition, reordering, relay and partition is in the model, and so is a crash, as a member that takes no further step.
 * Nothing is bounded but the numbers of members, frames, facts and attempts, and how far ahead is promised.
 *
 * A rule of docs/protocol.md is taken out with -DM_<RULE>; -DREACH_<STATE> asks for a run that gets to that state.
 */

#ifndef N
#define N 3
#endif
#ifndef M
#define M 2
#endif
#ifndef E
#define E 2
#endif

/* How far ahead of the highest frame a silent member may promise. */
#ifndef H
#define H 1
#endif
/* Most events of one member: its slots. */
#ifndef L
#define L 2
#endif
#define EVENTS (N * L)
/* A set of events. */
#if EVENTS <= 8
#define set byte
#else
#define set short
#endif
#define ALL ((1 << N) - 1)
#define BIT(i) (1 << (i))
#define NONE 255
/* Above every clock: each frame raises the highest clock by 1 + H at most, itself and a promise ahead of it. */
#define INFINITE 31

/* What an event is. */
#define FACTS 1
#define AGREED 2
#define SAFE 3

/* Events: frames.ts `DataFrame` and `FactsFrame`; both carry the facts (clock, seq, received). */
set frames;            /* those that are frames */
byte madeFrames;
byte madeFacts;
byte made[N];         /* how many each member made */
byte kind[EVENTS];
byte seq[EVENTS];     /* of a frame its number in the stream, of facts the last one's */
byte clock[EVENTS];   /* of a frame its timestamp */
byte told[EVENTS];    /* `received` */
set past[EVENTS];      /* of a frame: what its sender had sent or delivered before */

/* Members: ordering.ts `Ordering` and stream.ts `Stream`, as sets of what was heard. */
set held[N];           /* frames held, in order or not */
set pairs[N];          /* events whose pair (clock, seq) was heard, or learned from a Plan, or no longer matters */
set acks[N];           /* events whose `received` was */
set regular[N];        /* frames delivered in the regular configuration */
set transitional[N];   /* and in the transitional one after it */

#define owner(i) ((i) / L)
#define slots(r) (((1 << L) - 1) << ((r) * L))
#define below(i) (BIT(i) - 1)
#define delivered(p) (regular[p] | transitional[p])
#define precedes(a, b) (clock[a] < clock[b] || (clock[a] == clock[b] && owner(a) < owner(b)))

#ifdef M_FACTS_ONLY_GROW
byte last[N * N];     /* the pair heard last: event + 1 */
#endif
#ifdef ORDER_MATRIX
set after[EVENTS];     /* of a frame: those that somebody delivered before it */
#endif

/* Scratch, of no meaning between steps and so no part of the state. */
hidden byte i, j, s, best, broken, blocked;
hidden short contiguous;     /* mask: frames held without a gap */
hidden byte reach[N];        /* Stream.contiguous */
hidden byte counted[N];      /* Stream.counted.clock */
hidden byte countedBy[N];    /* the event that it is from */
hidden byte ackOf[N];        /* Stream.received */
hidden byte ackBy[N];
hidden byte newestBy[N];     /* the event of Stream.newest, NONE if nothing was heard */
hidden byte announced, highest, least, leastAck, received, stable;
hidden byte heldBack;
hidden short outcome[3], outcomeOfAll[3];

/* What is checked: an assertion that fails is reported by its name. */
hidden byte EVS_1_4_once, EVS_3_self_delivery, EVS_4_same_deliveries, EVS_5_causal, EVS_6_1_one_order, EVS_6_3_presence,
  EVS_7_1_safe, EVS_well_formed;
hidden byte safe_means_held_by_all, received_is_true, stable_is_held_by_all, delivered_prefixes_of_one;
hidden byte regular_what_can_be, unreached, found;
#ifdef BROKEN_PROMISES
hidden short refused;
#endif

/*
 * What member p knows: stream.ts `advance`, `count`; ordering.ts `received`, `stable`. Every pair that was heard counts as
 * soon as its stream is held up to its seq (promise-bound); of those that count the highest is taken (facts-only-grow).
 */
inline know(p) {
  contiguous = 0; broken = 0; announced = 0; highest = 0;
  for (s : 0 .. N - 1) {
    reach[s] = 0; counted[s] = 0; countedBy[s] = NONE; ackOf[s] = 0; ackBy[s] = NONE; newestBy[s] = NONE;
    i = s * L;
    do
    :: i < s * L + made[s] ->
      if
      :: kind[i] == FACTS
      :: kind[i] != FACTS && (held[p] & BIT(i)) ->
        if :: clock[i] > highest -> highest = clock[i] :: else fi;
        if :: !(broken & BIT(s)) -> contiguous = contiguous | BIT(i); reach[s] = seq[i] :: else fi
      :: else -> broken = broken | BIT(s)
      fi;
      if :: s == p && clock[i] > announced -> announced = clock[i] :: else fi;
      i++
    :: else -> break
    od;
    i = s * L;
    do
    :: i < s * L + made[s] ->
      if
      :: pairs[p] & BIT(i) ->
        if :: (newestBy[s] == NONE || clock[i] > clock[newestBy[s]]) -> newestBy[s] = i :: else fi;
        if
#ifdef M_PROMISE_BOUND
        :: clock[i] > counted[s] -> counted[s] = clock[i]; countedBy[s] = i
#else
        :: seq[i] <= reach[s] && clock[i] > counted[s] -> counted[s] = clock[i]; countedBy[s] = i
#endif
        :: else
        fi
      :: else
      fi;
      if :: (acks[p] & BIT(i)) && told[i] >= ackOf[s] -> ackOf[s] = told[i]; ackBy[s] = i :: else fi;
      i++
    :: else -> break
    od
  }
#ifdef M_FACTS_ONLY_GROW
  for (s : 0 .. N - 1) {
    if
    :: last[p * N + s] != 0 && seq[last[p * N + s] - 1] <= reach[s] ->
      countedBy[s] = last[p * N + s] - 1; newestBy[s] = countedBy[s]; counted[s] = clock[countedBy[s]]
    :: else
    fi
  }
#endif
  least = INFINITE; leastAck = INFINITE;
  for (s : 0 .. N - 1) {
    if
    :: s != p ->
      if :: counted[s] < least -> least = counted[s] :: else fi;
      if :: ackOf[s] < leastAck -> leastAck = ackOf[s] :: else fi
    :: else
    fi
  }
  received = (announced > highest -> announced : highest);
  if :: least < received -> received = least :: else fi;
  stable = (received < leastAck -> received : leastAck)
}

/* Events arrive: stream.ts `accept`, `learn`. The facts of a frame count as heard even if it came out of order. */
inline take(p, mask) {
#if defined(BROKEN_PROMISES) && !defined(M_NO_FRAME_BELOW_A_PROMISE)
  /* stream.ts `advance` refuses a frame at or below a clock that counts. */
  held[p] = held[p] | (mask & frames & ~refused);
#else
  held[p] = held[p] | (mask & frames);
#endif
  pairs[p] = pairs[p] | mask;
  acks[p] = acks[p] | mask;
#ifdef M_FACTS_ONLY_GROW
  for (i : 0 .. EVENTS - 1) {
    if :: (mask) & BIT(i) -> last[p * N + owner(i)] = i + 1 :: else fi
  }
#endif
  skip
}

/* What was just taken is of no use yet, and may as well arrive later: spares the states in between. */
inline forget(p, mask) {
  held[p] = held[p] & ~(mask & frames);
  pairs[p] = pairs[p] & ~mask;
  acks[p] = acks[p] & ~mask
}

/* Older facts no longer matter once newer ones count: they are as good as heard. After `know`. */
inline settle(p) {
#ifndef M_FACTS_ONLY_GROW
  for (s : 0 .. N - 1) {
    if :: countedBy[s] != NONE -> pairs[p] = pairs[p] | (slots(s) & below(countedBy[s])) :: else fi;
    if :: ackBy[s] != NONE -> acks[p] = acks[p] | (slots(s) & below(ackBy[s])) :: else fi
  }
#endif
  skip
}
/* Frame f is handed up at p: what must hold then. `inRegular`: in the old regular configuration. */
inline handUp(p, f, inRegular) {
#ifdef ORDER_MATRIX
  /* Over all members, what one delivers before another is never delivered after it; nor around three corners. */
  EVS_6_1_one_order = true;
  for (s : 0 .. EVENTS - 1) {
    if
    :: delivered(p) & BIT(s) ->
      after[f] = after[f] | BIT(s);
      if :: after[s] & BIT(f) -> EVS_6_1_one_order = false :: else fi;
      for (j : 0 .. EVENTS - 1) {
        if :: (after[s] & BIT(j)) && (after[j] & BIT(f)) -> EVS_6_1_one_order = false :: else fi
      }
    :: else
    fi
  }
#else
  /* Places are fixed when frames are made, so one order for all is: each member delivers in the order of places. */
  EVS_6_1_one_order = true;
  for (s : 0 .. EVENTS - 1) {
    if :: (delivered(p) & BIT(s)) && precedes(f, s) -> EVS_6_1_one_order = false :: else fi
  }
#endif
  assert(EVS_6_1_one_order);
  EVS_1_4_once = !(delivered(p) & BIT(f));
  assert(EVS_1_4_once);
#ifndef BROKEN_PROMISES
  EVS_5_causal = (past[f] & ~delivered(p)) == 0;
  assert(EVS_5_causal);
  if
  :: inRegular && kind[f] == SAFE ->
    safe_means_held_by_all = true;
    for (s : 0 .. N - 1) {
      if :: !GONE(s) && !((held[s] | delivered(s)) & BIT(f)) -> safe_means_held_by_all = false :: else fi
    }
    assert(safe_means_held_by_all)
  :: else
  fi;
#endif
  if
  :: inRegular -> regular[p] = regular[p] | BIT(f)
  :: else -> transitional[p] = transitional[p] | BIT(f)
  fi
}

/*
 * ordering.ts `deliver`: in the order of places, frames in `allowed` with ts <= `agreed`, up to the first safe one above
 * `safe`.
 */
inline deliver(p, agreed, safe, allowed, inRegular) {
  heldBack = false;
  blocked = 0;
  do
  :: true ->
    best = NONE;
    for (i : 0 .. EVENTS - 1) {
      if
      :: (allowed & BIT(i)) && !(delivered(p) & BIT(i)) && !(blocked & BIT(owner(i))) && clock[i] <= (agreed) ->
        if
        :: best == NONE -> best = i
#ifdef M_TOTAL_ORDER
        :: best != NONE && (clock[i] < clock[best] || (clock[i] == clock[best] && owner(i) == p)) -> best = i
#else
        :: best != NONE && precedes(i, best) -> best = i
#endif
        :: else
        fi
      :: else
      fi
    }
    if
    :: best == NONE -> break
    :: best != NONE && kind[best] == SAFE && clock[best] > (safe) ->
      heldBack = true;
#ifdef M_SAFE_HOLDS_BACK
      blocked = blocked | BIT(owner(best))
#else
      break
#endif
    :: else -> handUp(p, best, inRegular)
    fi
  od
}

/* Up to where a turn delivers: after `know`. */
#ifdef M_AGREED_UP_TO_RECEIVED
#define AGREED_CUT INFINITE
#else
#define AGREED_CUT received
#endif
#ifdef M_SAFE_UP_TO_ALL_RECEIVED
#define SAFE_CUT received
#else
#define SAFE_CUT stable
#endif

/* A step: who, what, how, and which events arrive in it. All are zero between steps. */
byte p, act, choice, e;
set shown;
#define SEND 1       /* choice: service */
#define TELL 2       /* choice: how far ahead */
#define DELIVER 3
#define IS_TRAFFIC (act <= DELIVER)

/* The service of a message. */
#ifdef ONLY_AGREED
#define SERVICE choice = AGREED
#elif defined(ONLY_SAFE)
#define SERVICE choice = SAFE
#else
#define SERVICE if :: choice = AGREED :: choice = SAFE fi
#endif

/* Any subset of what p lacks arrives. */
#define lacks(p, i) (((kind[i] == FACTS -> pairs[p] & acks[p] : held[p]) & BIT(i)) == 0)
inline listen() {
  do
  :: e < EVENTS ->
    if
    :: kind[e] != 0 && owner(e) != p && lacks(p, e) -> shown = shown | BIT(e)
    :: true
    fi;
    e++
  :: else -> break
  od;
  e = 0
}

/* What a turn would lead to, into `outcome`: what it delivers, and what it would say. After `know`. */
inline foresee(p) {
  outcome[0] = 0; best = NONE;
  for (i : 0 .. EVENTS - 1) {
    if
    :: (contiguous & BIT(i)) && !(regular[p] & BIT(i)) && clock[i] <= AGREED_CUT ->
      outcome[0] = outcome[0] | BIT(i);
      if :: kind[i] == SAFE && clock[i] > SAFE_CUT && (best == NONE || precedes(i, best)) -> best = i :: else fi
    :: else
    fi
  }
  for (i : 0 .. EVENTS - 1) {
    if :: best != NONE && !precedes(i, best) -> outcome[0] = outcome[0] & ~BIT(i) :: else fi
  }
  outcome[1] = 0; outcome[2] = 0;
  if
  :: act != DELIVER -> outcome[1] = least; outcome[2] = (announced > highest -> announced : highest)
  :: else
  fi
}

/*
 * What was shown arrives. Each event of it must matter to the outcome, or it may as well arrive in a later step: then
 * `found` is false and nothing happens. So of two runs that differ only in when something arrives that is not yet of use
 * one is enough. Ends with what p knows.
 */
inline think(p) {
  take(p, shown);
  found = true;
  j = 0;
  do
  :: j <= EVENTS + 1 ->
    if
    :: j > 0 && j <= EVENTS && !(shown & (BIT(j) >> 1))
    :: else ->
      if :: j > 0 && j <= EVENTS -> forget(p, BIT(j - 1)) :: else fi;
      know(p);
      FORESEE(p);
      if
      :: j == 0 ->
        outcomeOfAll[0] = outcome[0]; outcomeOfAll[1] = outcome[1]; outcomeOfAll[2] = outcome[2]
      :: j > 0 && j <= EVENTS ->
        if
        :: outcomeOfAll[0] == outcome[0] && outcomeOfAll[1] == outcome[1] && outcomeOfAll[2] == outcome[2] ->
          found = false
        :: else
        fi;
        take(p, BIT(j - 1))
      :: else
      fi
    fi;
    j++
  :: else -> break
  od;
  if
  :: act == DELIVER && outcome[0] == 0 -> found = false
  :: else
  fi;
#if defined(M_FACTS_ONLY_GROW) || defined(BROKEN_PROMISES)
  if :: act != DELIVER -> found = true :: else fi;
#endif
  if
  :: found -> settle(p)
  :: else -> forget(p, shown)
  fi
}

#ifdef M_RECEIVED_IS_THE_TRUTH
#define TOLD highest
#else
#define TOLD received
#endif

/* A turn: cell.ts `evaluate`, traffic.ts `trafficTurn`. After `think`. */
inline traffic(p) {
  best = p * L + made[p];
  if
  :: act == SEND ->
    /* ordering.ts `nextFrame` */
    kind[best] = choice;
    past[best] = delivered(p) | (frames & slots(p));
    seq[best] = reach[p] + 1;
#ifdef M_ORDER_CONTAINS_CAUSALITY
    clock[best] = announced + 1;
#else
#ifdef M_TS_ABOVE_OWN_PROMISE
    clock[best] = highest + 1;
#else
    clock[best] = (announced > highest -> announced : highest) + 1;
#endif
#endif
#ifdef BROKEN_PROMISES
    /* The member with rank 0 does not keep its word. */
    if :: p == 0 -> clock[best] = highest + 1 :: else fi;
#endif
    frames = frames | BIT(best);
    held[p] = held[p] | BIT(best);
    contiguous = contiguous | BIT(best);
    received = (clock[best] < least -> clock[best] : least);
    stable = (received < leastAck -> received : leastAck);
    told[best] = TOLD;
    made[p]++;
    madeFrames++
  :: else
  fi;
  if
  :: MAY_DELIVER(p) -> deliver(p, AGREED_CUT, SAFE_CUT, contiguous, true)
  :: else
  fi;
  best = p * L + made[p];
  if
  :: act == TELL ->
    /* announce.ts `promise`, ordering.ts `facts`: the promise is the highest frame seen, or ahead of it */
    if :: highest + choice > announced -> announced = highest + choice :: else fi;
    received = (announced < least -> announced : least);
    found = (made[p] == 0 && (announced > 0 || received > 0));
    if :: made[p] > 0 -> found = (clock[best - 1] != announced || told[best - 1] != TOLD) :: else fi;
    if
    :: found ->
      kind[best] = FACTS; seq[best] = reach[p]; clock[best] = announced; told[best] = TOLD;
      made[p]++;
      madeFacts++
    :: else
    fi
  :: else
  fi
}
