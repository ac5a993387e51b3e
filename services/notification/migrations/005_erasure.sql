-- Keys are asked of title and kept nowhere else. Stop replicas of notification that do not know of this first.
DROP TABLE sealing_key;
