/*
 * Recovery with obligations: docs/protocol.md "Recover" and "What is delivered where".
 *
 * The members of one regular configuration order messages in it as in ordering.pml, and attempts to form another one begin,
 * overlap and fail, up to A of them. Gather is left out: anyone forms any list in which it comes first, at any moment.
 * What the agreement of Gather spares is time, and nothing here counts on it.
 */

#ifdef M_FROZEN_FOR_GOOD
#define frozen(p) (ballot[p] != 0 && !resumed[p])
#else
#define frozen(p) (ballot[p] != 0)
#endif
#ifdef M_FROZEN_SENDS_NOTHING
#define MAY_SEND(p) true
#else
#define MAY_SEND(p) (!frozen(p))
#endif
#ifdef M_FROZEN_TELLS_NOTHING
#define MAY_TELL(p) true
#else
#define MAY_TELL(p) (!frozen(p))
#endif
#ifdef M_FROZEN_DELIVERS_NOTHING
#define MAY_DELIVER(p) true
#else
#define MAY_DELIVER(p) (!frozen(p))
#endif

/* Has left the old configuration: what it must have delivered is judged by EVS 7.1. */
#define GONE(p) (installed[p] != 0)

#define FORM 4       /* choice: the epoch */
#define ACCEPT 5     /* choice: the attempt */
#define RECOVER 6
#define INSTALL 7
#define FORESEE(p) foreseeAll(p)
#ifdef M_ONE_PLAN_PER_FORM
#define UPTO(p, a) myUpTo[p]
#define CLOCKS(p, a) myClocks[p]
#define RECEIVEDS(p, a) myReceiveds[p]
#else
#define UPTO(p, a) upTo[a]
#define CLOCKS(p, a) clocks[a]
#define RECEIVEDS(p, a) receiveds[a]
#endif

#include "cell.pml"


#ifndef A
#define A 2
#endif

/* recover.ts: a member's phase. An attempt is named by its number + 1, which stands for its whole id. */
byte ballot[N];        /* epoch of the last Form accepted; frozen from the first one on */
byte attempt[N];       /* the attempt that it is in; 0: none */
byte infinite[N];    /* mask of ranks: Stream.infinite */
byte installed[N];     /* what it went to from the old configuration; 0: nothing yet */
byte together[N];      /* T of the Plan that it installed by */

/* Attempts: Form; the States that arrived, merged; then the Plan; Recovered. */
byte attempts;
byte coordinator[A];
byte members[A];       /* mask of ranks */
byte epoch[A];
byte states[A];        /* whose State has arrived */
bit planned[A];
set heard[A];          /* events, until the Plan: all newest pairs heard; only checked */
set upTo[A];           /* frames: before the Plan all prefixes told, in it all prefixes U */
set clocks[A];         /* events: before the Plan all pairs told, in it the one of each stream that K is from */
set receiveds[A];      /* events: the same of R */
byte unending[A];      /* ranks: before the Plan those told to be infinite, in it K = infinite */
byte recovered[A];     /* who said Recovered */
byte went[A];          /* who installed it */

#ifdef M_FROZEN_FOR_GOOD
bit resumed[N];
#endif
#define THIS(p) (attempt[p] - 1)
#ifdef M_PLAN_OF_LAST_FORM
byte planFrom[N];      /* the attempt whose Plan was taken */
#define PLAN_OF(p) (planFrom[p] - 1)
#else
#define PLAN_OF(p) THIS(p)
#endif
#ifdef M_MERGE_FRAMES
set heldAtForm[N];
#endif
#ifdef M_ONE_PLAN_PER_FORM
/* Members keep the Plan that they recovered for; the coordinator may make another one. */
set myUpTo[N], myClocks[N], myReceiveds[N], toldClocks[A], toldReceiveds[A];
#endif
#ifdef M_NEW_LIST_NEW_FORM
byte listOf[N];        /* the list that was installed */
#endif

hidden byte minClock, minReceived, pass;
hidden short wasClocks, wasReceiveds;
hidden byte k, m, a;
byte list;             /* scratch of a step, zero between them */

#define isMember(mask, r) (((mask) & BIT(r)) != 0)

/*
 * recover.ts `reportState`: the prefixes, the best pair that counts and the newest, the highest `received`. Into `outcome`:
 * what attempt a knows with it. After `know`.
 */
inline summarize(p, a) {
#ifdef M_MERGE_FRAMES
  if :: ballot[p] != 0 -> contiguous = contiguous & heldAtForm[p] :: else fi;
#endif
#ifdef M_LONGEST_PREFIX
  outcome[0] = (states[a] == 0 -> contiguous : upTo[a]);
#else
  outcome[0] = upTo[a] | contiguous;
#endif
  outcome[1] = clocks[a];
  outcome[2] = receiveds[a];
  for (s : 0 .. N - 1) {
    if
    :: s != p ->
      if :: countedBy[s] != NONE -> outcome[1] = outcome[1] | BIT(countedBy[s]) :: else fi;
#ifndef M_NEWEST_PAIRS
      if :: newestBy[s] != NONE -> outcome[1] = outcome[1] | BIT(newestBy[s]) :: else fi;
#endif
      if :: ackBy[s] != NONE -> outcome[2] = outcome[2] | BIT(ackBy[s]) :: else fi
    :: s == p && made[p] > 0 -> outcome[1] = outcome[1] | BIT(p * L + made[p] - 1)
    :: else
    fi
  }
}

inline foreseeAll(p) {
  if
  :: IS_TRAFFIC -> foresee(p)
  :: act == INSTALL -> outcome[0] = held[p]; outcome[1] = pairs[p]; outcome[2] = acks[p] /* as late as anything may arrive */
  :: else -> summarize(p, a)
  fi
}

/* p's State for attempt a, in which it is from now on. After `think`. */
inline report(p, a) {
  summarize(p, a);
#ifdef M_MERGE_FRAMES
  if :: ballot[p] == 0 -> heldAtForm[p] = held[p] :: else fi;
#endif
#ifdef M_ONE_PLAN_PER_FORM
  if
  :: planned[a] -> planned[a] = false; clocks[a] = toldClocks[a]; receiveds[a] = toldReceiveds[a]; summarize(p, a)
  :: else
  fi;
#endif
  upTo[a] = outcome[0]; clocks[a] = outcome[1]; receiveds[a] = outcome[2];
#ifndef M_OBLIGATIONS
  unending[a] = unending[a] | infinite[p];
#endif
#ifdef M_INFINITE_THROUGH_PLAN
  infinite[coordinator[a]] = infinite[coordinator[a]] | infinite[p];
#endif
  for (s : 0 .. N - 1) {
    if :: newestBy[s] != NONE && s != p -> heard[a] = heard[a] | BIT(newestBy[s]) :: else fi
  }
  states[a] = states[a] | BIT(p);
  ballot[p] = epoch[a];
  attempt[p] = a + 1;
#ifdef M_PLAN_OF_LAST_FORM
  planFrom[p] = a + 1;
#endif
  skip
}

/* plan.ts `makePlan`, `planStream`, once all States are here; deterministic. */
inline makePlan(a) {
  if
  :: states[a] == members[a] && attempt[coordinator[a]] == a + 1 && !planned[a] ->
    planned[a] = true;
    wasClocks = clocks[a]; wasReceiveds = receiveds[a];
#ifdef M_ONE_PLAN_PER_FORM
    toldClocks[a] = clocks[a]; toldReceiveds[a] = receiveds[a];
#endif
    clocks[a] = 0; receiveds[a] = 0;
    for (s : 0 .. N - 1) {
      /* U */
      reach[s] = 0;
      for (i : s * L .. s * L + L - 1) {
        if :: upTo[a] & BIT(i) -> reach[s] = seq[i] :: else fi
      }
      /* K and R, for those whose owner does not come */
      best = NONE; j = NONE;
      for (i : s * L .. s * L + L - 1) {
#ifdef M_CLOCKS_WITHIN_PREFIX
        if :: wasClocks & BIT(i) -> best = i :: else fi;
#else
        if :: (wasClocks & BIT(i)) && seq[i] <= reach[s] -> best = i :: else fi;
#endif
        if :: wasReceiveds & BIT(i) -> j = i :: else fi
      }
      /* No pair that was the last word heard of somebody goes unused if its frames are here. */
      for (i : s * L .. s * L + L - 1) {
        regular_what_can_be = !((heard[a] & BIT(i)) && seq[i] <= reach[s] && (best == NONE || clock[best] < clock[i]));
        assert(regular_what_can_be)
      }
#ifdef M_LAST_PROMISE
      if :: best != NONE && !isMember(unending[a], s) -> clocks[a] = clocks[a] | BIT(best) :: else fi;
#else
      if :: best != NONE && !isMember(unending[a] | members[a], s) -> clocks[a] = clocks[a] | BIT(best) :: else fi;
#endif
#ifdef M_RECEIVED_OF_TOGETHER
      if :: j != NONE -> receiveds[a] = receiveds[a] | BIT(j) :: else fi;
#else
#ifndef M_RECEIVED_KNOWN_IN_T
      if :: j != NONE && !isMember(members[a], s) -> receiveds[a] = receiveds[a] | BIT(j) :: else fi;
#endif
#endif
    }
#ifndef M_LAST_PROMISE
    unending[a] = unending[a] | members[a];
#endif
    heard[a] = 0
  :: else
  fi
}

#if defined(M_PLAN_OF_LAST_FORM) || defined(M_INSTALL_OF_LAST_FORM) || defined(KEEP_ATTEMPTS)
inline tidy() { skip }
#else
/* An attempt in which nobody can do anything any more is forgotten. */
inline tidy() {
  for (k : 0 .. A - 1) {
    found = false;
    for (s : 0 .. N - 1) {
      if
      :: attempt[s] == k + 1 ->
        /* Without its coordinator an attempt gets no Plan and no first Install. */
        if
        :: attempt[coordinator[k]] != k + 1 && went[k] == 0 && (!planned[k] || isMember(recovered[k], s)) -> attempt[s] = 0
        :: else -> found = true
        fi
      :: else
      fi
    }
    if
    :: !found && k < attempts ->
      upTo[k] = 0; clocks[k] = 0; receiveds[k] = 0; unending[k] = 0; states[k] = 0; recovered[k] = 0; went[k] = 0;
      planned[k] = 0; heard[k] = 0; members[k] = 0; epoch[k] = 0; coordinator[k] = 0
    :: else
    fi
  }
}
#endif

/* Over all pairs of members: EVS properties that speak of two. `mustHave`: who installed another regular configuration. */
inline checkPairs() {
  EVS_3_self_delivery = true; EVS_4_same_deliveries = true; EVS_6_3_presence = true; EVS_7_1_safe = true;
  EVS_well_formed = true;
  for (s : 0 .. N - 1) {
    if :: GONE(s) && ((frames & slots(s)) & ~delivered(s)) -> EVS_3_self_delivery = false :: else fi;
    for (j : 0 .. N - 1) {
      if
      :: j != s ->
        if
        :: GONE(s) && installed[s] == installed[j] ->
          if :: together[s] != together[j] -> EVS_well_formed = false :: else fi;
          if :: regular[s] != regular[j] || transitional[s] != transitional[j] -> EVS_4_same_deliveries = false :: else fi
#ifdef M_NEW_LIST_NEW_FORM
          ;
          if :: listOf[s] != listOf[j] -> EVS_well_formed = false :: else fi
#endif
        :: else
        fi;
        for (i : 0 .. EVENTS - 1) {
          /* s delivered i, and j is in the configuration in which it did */
          if
          :: kind[i] == SAFE && (delivered(s) & BIT(i)) && GONE(j) && !(delivered(j) & BIT(i)) &&
             ((regular[s] & BIT(i)) || isMember(together[s], j)) -> EVS_7_1_safe = false
          :: else
          fi;
          /* s delivered i, and then m; j delivered m where the sender of i is, but not i */
          if
          :: (delivered(s) & BIT(i)) && !(delivered(j) & BIT(i)) ->
            for (m : 0 .. EVENTS - 1) {
              if
              :: (delivered(s) & delivered(j) & BIT(m)) && precedes(i, m) &&
                 ((regular[j] & BIT(m)) || isMember(together[j], owner(i))) -> EVS_6_3_presence = false
              :: else
              fi
            }
          :: else
          fi
        }
      :: else
      fi
    }
  }
  assert(EVS_3_self_delivery);
  assert(EVS_4_same_deliveries);
  assert(EVS_well_formed);
  assert(EVS_6_3_presence);
  assert(EVS_7_1_safe)
}

#ifdef M_TRANSITIONAL_SPLIT
#define INSTALL_REGULAR || pass == 2
#else
#define INSTALL_REGULAR
#endif

/* What happens after each pass of an Install; `wasClocks`: what was delivered before it. */
#ifdef REACH
inline observe(p, a) {
  unreached = true;
#ifdef REACH_TRANSITIONAL
  if :: transitional[p] != 0 -> unreached = false :: else fi;
#endif
#ifdef REACH_SAFE_CUT
  if :: pass == 1 && heldBack -> unreached = false :: else fi;
#endif
#ifdef REACH_BEYOND_MIN_K
  if :: pass == 3 && delivered(p) != wasClocks -> unreached = false :: else fi;
#endif
#ifdef REACH_OBLIGATION_WIDER_THAN_T
  if :: (unending[a] & ~members[a]) != 0 -> unreached = false :: else fi;
#endif
#ifdef REACH_OBLIGATION_DELIVERS
  for (s : 0 .. N - 1) {
    if
    :: pass == 3 && !isMember(members[a], s) && (delivered(p) & ~wasClocks & slots(s)) -> unreached = false
    :: else
    fi
  }
#endif
#ifdef REACH_INSTALL_LOST
  /* p recovered for another attempt, which somebody installed, delivering what p delivers only now, of one who is not here */
  for (k : 0 .. A - 1) {
    for (s : 0 .. N - 1) {
      if
      :: pass == 3 && k != a && isMember(recovered[k], p) && installed[s] == k + 1 && !isMember(members[a], s) &&
         (transitional[s] & delivered(p) & ~wasClocks & slots(s)) -> unreached = false
      :: else
      fi
    }
  }
#endif
#ifdef REACH_DROPPED
  if :: pass == 3 && (upTo[a] & ~delivered(p)) -> unreached = false :: else fi;
#endif
#ifdef REACH_LATE_FRAME
  if :: held[p] & ~upTo[a] -> unreached = false :: else fi;
#endif
#ifdef REACH_THIRD_ATTEMPT
  /* p was in three attempts */
  if :: a == 2 && isMember(states[0] & states[1], p) && members[a] != BIT(p) -> unreached = false :: else fi;
#endif
#ifdef REACH_SAFE_ON_BOTH_SIDES
  for (s : 0 .. N - 1) {
    for (i : 0 .. EVENTS - 1) {
      if
      :: kind[i] == SAFE && GONE(s) && !isMember(together[s], p) && (transitional[s] & transitional[p] & BIT(i)) ->
        unreached = false
      :: else
      fi
    }
  }
#endif
#ifdef REACH_REGULAR_AND_TRANSITIONAL
  /* the same message in the regular configuration of one and in the transitional one of another */
  for (s : 0 .. N - 1) {
    if :: s != p && (regular[s] & transitional[p]) -> unreached = false :: else fi
  }
#endif
#ifdef REACH_SAME_EPOCH
  for (s : 0 .. N - 1) {
    if
    :: GONE(s) && installed[s] != a + 1 && epoch[installed[s] - 1] == epoch[a] -> unreached = false
    :: else
    fi
  }
#endif
  assert(unreached)
}
#define REACHED(p, a) observe(p, a);
#else
#define REACHED(p, a)
#endif

/* install.ts `deliverOld` and `install`. */
inline install(p, a) {
  minClock = INFINITE; minReceived = INFINITE;
  for (s : 0 .. N - 1) {
    m = 0; k = 0;
    for (i : s * L .. s * L + L - 1) {
      if :: CLOCKS(p, a) & BIT(i) -> m = clock[i] :: else fi;
      if :: RECEIVEDS(p, a) & BIT(i) -> k = told[i] :: else fi
    }
#ifdef M_CAPS
    if :: s != p && counted[s] > m -> m = counted[s] :: else fi;
#endif
    if :: !isMember(unending[a], s) && m < minClock -> minClock = m :: else fi;
#ifdef M_RECEIVED_OF_TOGETHER
    if :: s != p && k < minReceived -> minReceived = k :: else fi;
#else
    if :: !isMember(members[a], s) && k < minReceived -> minReceived = k :: else fi;
#endif
  }
#ifndef M_CAPS
  contiguous = contiguous & UPTO(p, a);
#endif
#ifdef M_SAFE_CUT
  minReceived = INFINITE;
#endif
#ifdef M_NEW_LIST_NEW_FORM
  together[p] = listOf[p];
#else
  together[p] = members[a];
#endif
  pass = 1;
  do
  :: pass <= 3 ->
    /* up to the safe cut; the rest up to the least K; beyond it only streams with K = infinite */
    wasClocks = delivered(p);
    deliver(p, minClock, minReceived, contiguous, (pass == 1 INSTALL_REGULAR));
    REACHED(p, a)
    if
    :: pass == 1 -> minReceived = INFINITE
    :: pass == 2 ->
#ifndef M_BEYOND_MIN_K
      minClock = INFINITE;
#endif
#ifndef M_BEYOND_MIN_K_ONLY_INFINITE
      for (s : 0 .. N - 1) {
        if :: !isMember(unending[a], s) -> contiguous = contiguous & ~slots(s) :: else fi
      }
#endif
      skip
    :: else
    fi;
    pass++
  :: else -> break
  od;
  /* If nobody was lost, all stays in the regular configuration. */
  regular_what_can_be = (together[p] != ALL || transitional[p] == 0);
  assert(regular_what_can_be);
  installed[p] = a + 1;
  went[a] = went[a] | BIT(p);
  attempt[p] = 0;
  infinite[p] = 0; held[p] = 0; pairs[p] = 0; acks[p] = 0;
}

/* gather.ts `form`, recover.ts `onForm`. */
#define canAccept(p, x) (!GONE(p) && x < attempts && isMember(members[x], p) && coordinator[x] != p && epoch[x] > ballot[p] && \
  !planned[x] && attempt[coordinator[x]] == x + 1)

/* recover.ts `fetch`: all of U is here, the Plan is merged, for good. */
inline recover(p, a) {
#ifndef M_FETCH_BEFORE_RECOVERED
  take(p, upTo[a] & ~held[p]);
#endif
#ifndef M_MERGE_INFINITE
  infinite[p] = infinite[p] | unending[a];
#endif
#ifndef M_MERGE_CLOCKS
  pairs[p] = pairs[p] | clocks[a];
#endif
  acks[p] = acks[p] | receiveds[a];
#ifdef M_ONE_PLAN_PER_FORM
  myUpTo[p] = upTo[a]; myClocks[p] = clocks[a]; myReceiveds[p] = receiveds[a];
#endif
#ifdef M_NEW_LIST_NEW_FORM
  listOf[p] = members[a];
#endif
  recovered[THIS(p)] = recovered[THIS(p)] | BIT(p)
}

#define canRecover(p) (attempt[p] != 0 && planned[PLAN_OF(p)] && !isMember(recovered[THIS(p)], p))

/* recover.ts `takeRecovered`, `onInstall`, `installBy`: who installed is the proof, whether it sends Install or anything else. */
#ifdef M_INSTALL_WHEN_ALL_RECOVERED
#define allRecovered(x) (recovered[x] != 0)
#else
#define allRecovered(x) (recovered[x] == members[x])
#endif
#ifdef M_SILENT_BEFORE_INSTALL
#define named(p, x) ((recovered[x] & ~BIT(p)) != 0)
#else
#ifdef M_INSTALL_OF_LAST_FORM
#define other(p, x) (went[x] != 0 && isMember(members[x], p))
#define named(p, x) (went[x] != 0 || other(p, 0) || other(p, 1))
#else
#define named(p, x) (went[x] != 0)
#endif
#endif
#define canInstall(p, x) (attempt[p] != 0 && isMember(recovered[x], p) && ((coordinator[x] == p && allRecovered(x)) || named(p, x)))


active proctype turns() {
  do
  :: atomic {
      if
      :: p = 0
      :: p = 1
#if N > 2
      :: p = 2
#endif
#if N > 3
      :: p = 3
#endif
      fi;
      if
      :: !GONE(p) && MAY_SEND(p) && madeFrames < M && made[p] < L ->
        act = SEND; SERVICE
      :: !GONE(p) && MAY_TELL(p) && madeFacts < E && made[p] < L -> act = TELL; do :: choice < H -> choice++ :: break od
      :: !GONE(p) && MAY_DELIVER(p) -> act = DELIVER
      :: !GONE(p) && attempts < A && ballot[p] < A ->
        act = FORM;
        list = BIT(p);
        if :: p < 1 -> list = list | 2 :: true fi;
#if N > 2
        if :: p < 2 -> list = list | 4 :: true fi;
#endif
#if N > 3
        if :: p < 3 -> list = list | 8 :: true fi;
#endif
        choice = ballot[p] + 1;
        do
        :: choice < A -> choice++
        :: break
        od
      :: canAccept(p, 0) -> act = ACCEPT; choice = 0
#if A > 1
      :: canAccept(p, 1) -> act = ACCEPT; choice = 1
#endif
#if A > 2
      :: canAccept(p, 2) -> act = ACCEPT; choice = 2
#endif
#if A > 3
      :: canAccept(p, 3) -> act = ACCEPT; choice = 3
#endif
      :: canRecover(p) -> act = RECOVER
      :: canInstall(p, THIS(p)) -> act = INSTALL
#ifdef M_FORM_ABOVE_ACCEPTED
      /* an old Form arrives again; the State that answered it is with the coordinator */
      :: !GONE(p) && isMember(states[0], p) && attempt[p] != 1 && attempt[coordinator[0]] == 1 -> attempt[p] = 1
      :: !GONE(p) && isMember(states[A - 1], p) && attempt[p] != A && attempt[coordinator[A - 1]] == A -> attempt[p] = A
#endif
#ifdef M_PLAN_OF_LAST_FORM
      :: attempt[p] != 0 && !isMember(recovered[THIS(p)], p) && planned[0] && isMember(members[0], p) -> planFrom[p] = 1
      :: attempt[p] != 0 && !isMember(recovered[THIS(p)], p) && planned[A - 1] && isMember(members[A - 1], p) -> planFrom[p] = A
#endif
#ifdef M_ONE_PLAN_PER_FORM
      /* a State that arrives after the Plan makes another one */
      :: attempt[p] != 0 && planned[THIS(p)] && coordinator[THIS(p)] != p &&
         attempt[coordinator[THIS(p)]] == attempt[p] -> act = ACCEPT; choice = THIS(p)
#endif
#ifdef M_NEW_LIST_NEW_FORM
      /* a member that is lost is struck from the list, and the attempt goes on */
      :: attempt[p] != 0 && coordinator[THIS(p)] == p && isMember(recovered[THIS(p)], p) ->
        if
        :: members[THIS(p)] = members[THIS(p)] & ~2
        :: members[THIS(p)] = members[THIS(p)] & ~4
        fi;
        members[THIS(p)] = members[THIS(p)] | BIT(p);
        recovered[THIS(p)] = recovered[THIS(p)] & members[THIS(p)];
        listOf[p] = members[THIS(p)]
#endif
#ifdef M_FROZEN_FOR_GOOD
      /* after a failed attempt the old configuration goes on */
      :: !GONE(p) && ballot[p] != 0 && !resumed[p] -> resumed[p] = 1; attempt[p] = 0
#endif
      :: else
      fi;
      if
      :: act != 0 && act != RECOVER -> listen()
      :: else
      fi;
      d_step {
        found = false;
        a = PLAN_OF(p);
        if
        :: act == FORM -> a = attempts
        :: act == ACCEPT -> a = choice
        :: else
        fi;
        if
        :: act != 0 && act != RECOVER -> think(p)
        :: else
        fi;
        if
        :: !found && act != RECOVER
        :: else ->
          if
          :: act == FORM ->
            attempts++;
            coordinator[a] = p; members[a] = list; epoch[a] = choice
          :: else
          fi;
          if
          :: IS_TRAFFIC -> traffic(p)
          :: act == FORM || act == ACCEPT -> report(p, a); makePlan(a)
          :: act == RECOVER -> recover(p, a)
          :: else -> install(p, a)
          fi;
          if
          :: act == DELIVER || act == SEND || act == TELL || act == INSTALL -> checkPairs()
          :: else
          fi;
          tidy()
        fi;
        shown = 0; p = 0; act = 0; choice = 0; e = 0; list = 0
      }
    }
  od
}
