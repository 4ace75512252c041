/* SPDX-License-Identifier: BSD-2-Clause */
/* Spins for the given seconds in a method that HotSpot compiles. */
public class SpinJava {
	static long sink;

	static long spinJava(long rounds)
	{
		long x = 1;

		for (long i = 0; i < rounds; i++)
			x = x * 6364136223846793005L + 1442695040888963407L;
		return x;
	}

	static void middleJava(long until)
	{
		while (System.nanoTime() < until)
			sink += spinJava(1_000_000);
	}

	public static void main(String[] args)
	{
		middleJava(System.nanoTime() + Long.parseLong(args[0]) * 1_000_000_000L);
	}
}
