/*
 * Ordering with promise clocks within one configuration: docs/protocol.md "The order", "Facts that only grow", "Promises".
 *
 * A step is a turn of one member: any of what it lacks arrives; then it makes a frame, tells facts, or only delivers.
 */

#define ORDER_MATRIX
#define MAY_DELIVER(p) true
#define GONE(p) false
#define FORESEE(p) foresee(p)
#include "cell.pml"

/* After a step: what anyone relies on is true. */
inline checkKnowledge() {
  received_is_true = true;
  stable_is_held_by_all = true;
  for (j : 0 .. N - 1) {
    know(j);
#ifdef M_RELEASE_WHEN_STABLE
    stable = received;
#endif
    for (i : 0 .. EVENTS - 1) {
      if
      :: frames & BIT(i) ->
        if :: clock[i] <= received && !(held[j] & BIT(i)) -> received_is_true = false :: else fi;
        for (s : 0 .. N - 1) {
          if :: clock[i] <= stable && !(held[s] & BIT(i)) -> stable_is_held_by_all = false :: else fi
        }
      :: else
      fi
    }
  }
  assert(received_is_true);
  assert(stable_is_held_by_all)
}

/* Nobody goes on to another configuration here, so two members differ only in how far they are. */
inline checkDeliveries() {
  delivered_prefixes_of_one = true;
  for (s : 0 .. N - 1) {
    if
    :: (regular[s] & ~regular[p]) && (regular[p] & ~regular[s]) -> delivered_prefixes_of_one = false
    :: else
    fi
  }
  assert(delivered_prefixes_of_one)
}

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
      :: madeFrames < M && made[p] < L -> act = SEND; SERVICE
      :: madeFacts < E && made[p] < L -> act = TELL; do :: choice < H -> choice++ :: break od
      :: act = DELIVER
      fi;
      listen();
      d_step {
#ifdef BROKEN_PROMISES
        know(p);
        refused = 0;
        for (i : 0 .. EVENTS - 1) {
          if :: (frames & BIT(i)) && clock[i] <= counted[owner(i)] -> refused = refused | BIT(i) :: else fi
        }
#endif
        think(p);
        if
        :: found -> traffic(p)
        :: else
        fi;
#ifndef BROKEN_PROMISES
        checkKnowledge();
        checkDeliveries();
#endif
#ifdef REACH_SAFE_DELIVERED
        unreached = true;
        for (i : 0 .. EVENTS - 1) {
          if :: (regular[p] & BIT(i)) && kind[i] == SAFE -> unreached = false :: else fi
        }
        assert(unreached);
#endif
#ifdef REACH_SAFE_HOLDS_BACK
        /* An agreed message that could be delivered waits behind a safe one. */
        unreached = true;
        know(p);
        for (i : 0 .. EVENTS - 1) {
          if
          :: kind[i] == AGREED && (contiguous & ~regular[p] & BIT(i)) && clock[i] <= received ->
            for (j : 0 .. EVENTS - 1) {
              if
              :: kind[j] == SAFE && (contiguous & ~regular[p] & BIT(j)) && precedes(j, i) && clock[j] > stable -> unreached = false
              :: else
              fi
            }
          :: else
          fi
        }
        assert(unreached);
#endif
#ifdef REACH_PAIR_WAITS
        /* A pair was heard whose frames are not here. */
        unreached = true;
        know(p);
        for (s : 0 .. N - 1) {
          if :: newestBy[s] != NONE && seq[newestBy[s]] > reach[s] -> unreached = false :: else fi
        }
        assert(unreached);
#endif
#ifdef REACH_PROMISED_AHEAD
        /* Delivered before somebody has it: that one had promised ahead. */
        unreached = true;
        for (i : 0 .. EVENTS - 1) {
          for (s : 0 .. N - 1) {
            if :: (regular[p] & BIT(i)) && !(held[s] & BIT(i)) -> unreached = false :: else fi
          }
        }
        assert(unreached);
#endif
        shown = 0; p = 0; act = 0; choice = 0; e = 0
      }
    }
  od
}
